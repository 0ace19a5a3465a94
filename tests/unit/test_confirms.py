"""Confirms: each answer of the broker is its own message's, and what a broken connection left goes once more."""

import pytest

from worker.broker.confirms import Confirms, Publication, retry_once
from worker.broker.publication import Disconnected, Message, PublishError, Refused, Unconfirmed, Unroutable

BROKEN = Disconnected("the connection broke")
FULL = Refused("the queue is full")
MISSING = Unroutable("there is no such exchange")


class Answers:
    """Publications with the answers they were given, each named by a letter."""

    def __init__(self, names: str) -> None:
        self.given: dict[str, PublishError | None] = {}
        self.publications = [self._publication(name, float(i)) for i, name in enumerate(names)]

    def _publication(self, name: str, since: float) -> Publication:
        def answer(failure: PublishError | None) -> None:
            assert name not in self.given
            self.given[name] = failure

        return Publication(Message("calls", "key", name.encode()), answer, since)

    def sent(self) -> Confirms:
        """The confirms of a channel over which all of them went, in their order."""
        confirms = Confirms()
        for publication in self.publications:
            confirms.add(publication)
        return confirms

    def names(self, publications: list[Publication]) -> str:
        """The letters of *publications*."""
        return "".join(each.message.body.decode() for each in publications)


@pytest.fixture
def three() -> Answers:
    """Three messages."""
    return Answers("abc")


def test_an_ack_confirms_the_message_of_its_tag(three: Answers) -> None:
    """In whatever order they come; the oldest that is left says since when it waits."""
    confirms = three.sent()
    confirms.answer(2, multiple=False)
    assert three.given == {"b": None}
    assert confirms.oldest == 0.0
    confirms.answer(1, multiple=False)
    assert confirms.oldest == 2.0
    confirms.answer(3, multiple=False)
    assert confirms.oldest is None
    assert confirms.unsettled() == []


def test_a_multiple_ack_confirms_all_before_it_and_none_after(three: Answers) -> None:
    """What was answered before stays as it is."""
    confirms = three.sent()
    confirms.answer(1, multiple=False, failure=FULL)
    confirms.answer(2, multiple=True)
    assert three.given == {"a": FULL, "b": None}
    assert three.names(confirms.unsettled()) == "c"


def test_a_multiple_nack_refuses_all_before_it(three: Answers) -> None:
    """A nack is never taken for an ack."""
    three.sent().answer(2, multiple=True, failure=FULL)
    assert three.given == {"a": FULL, "b": FULL}


def test_tags_go_on_after_what_was_confirmed(three: Answers) -> None:
    """They count what was ever sent over the channel, as the broker does."""
    confirms = three.sent()
    confirms.answer(3, multiple=True)
    later = Answers("d")
    confirms.add(later.publications[0])
    confirms.answer(4, multiple=False, failure=FULL)
    assert later.given == {"d": FULL}


def test_a_message_that_comes_back_is_unroutable_though_it_is_acknowledged(three: Answers) -> None:
    """The return comes first and names the message; the ack that follows answers it no second time."""
    confirms = three.sent()
    confirms.settle_returned(three.publications[1].message.message_id)
    confirms.answer(3, multiple=True)
    assert {name: type(failure) for name, failure in three.given.items()} == {
        "a": type(None),
        "b": Unroutable,
        "c": type(None),
    }


def test_the_return_of_an_unknown_message_is_nobodys(three: Answers) -> None:
    """Nor is that of one that was answered."""
    confirms = three.sent()
    confirms.settle_returned("somebody else's")
    assert three.given == {}


def test_two_messages_of_one_id_come_back_one_by_one() -> None:
    """Each return answers one of them."""
    both = Answers("ab")
    both.publications[1].message = both.publications[0].message
    confirms = both.sent()
    confirms.settle_returned(both.publications[0].message.message_id)
    confirms.settle_returned(both.publications[0].message.message_id)
    assert set(map(type, both.given.values())) == {Unroutable}
    assert both.given.keys() == {"a", "b"}


def test_what_a_broken_connection_left_goes_once_more(three: Answers) -> None:
    """Once: the second time it fails."""
    again = retry_once([(each, BROKEN) for each in three.publications], quick=True)
    assert (three.names(again), three.given) == ("abc", {})
    assert retry_once([(each, BROKEN) for each in again], quick=True) == []
    assert three.given == dict.fromkeys("abc", BROKEN)


def test_a_broker_that_stood_still_is_not_asked_again(three: Answers) -> None:
    """The time for a second try is over."""
    assert retry_once([(each, BROKEN) for each in three.publications], quick=False) == []
    assert three.given == dict.fromkeys("abc", BROKEN)


def test_what_has_no_confirm_in_time_does_not_go_again(three: Answers) -> None:
    """It may be in the broker."""
    late = Unconfirmed("no confirm in time")
    assert retry_once([(each, late) for each in three.publications], quick=True) == []
    assert three.given == dict.fromkeys("abc", late)


def test_the_neighbours_of_a_message_that_broke_the_connection_keep_their_second_try(three: Answers) -> None:
    """The culprit fails; the others go on, though one culprit follows another."""
    a, b, c = three.publications
    assert three.names(retry_once([(a, MISSING), (b, BROKEN), (c, BROKEN)], quick=True)) == "bc"
    assert three.names(retry_once([(b, FULL), (c, BROKEN)], quick=True)) == "c"
    assert three.names(retry_once([(c, BROKEN)], quick=True)) == "c"
    assert retry_once([(c, BROKEN)], quick=True) == []
    assert three.given == {"a": MISSING, "b": FULL, "c": BROKEN}


def test_the_neighbours_of_a_slow_culprit_go_once_more(three: Answers) -> None:
    """And that was it."""
    a, b, _ = three.publications
    assert three.names(retry_once([(a, MISSING), (b, BROKEN)], quick=False)) == "b"
    assert retry_once([(b, BROKEN)], quick=True) == []
