"""Records that are published at once are one message; what becomes of it becomes of each of them."""

import json
from collections.abc import Sequence

import pytest
from provider_calls import session_call

from tasks.outcome import State
from tasks.records import dead_letter_of_call, outcome_of_call
from worker.broker import messages, topology
from worker.broker.confirms import Publication
from worker.broker.packing import MAX_RECORDS, MAX_SIZE, packed
from worker.broker.publication import Message, PublishError, Refused

CALL = session_call("e-1")
OUTCOME = outcome_of_call(CALL, State.ACCEPTED, CALL.occurred_at, 1)
RECORD = messages.record(OUTCOME)
URGENT = messages.record(OUTCOME.model_copy(update={"event_type": "user.disabled"}))
OTHERS = [messages.call(CALL), messages.dead_letter(dead_letter_of_call(CALL, "http.5xx", CALL.occurred_at))]


class Sender:
    """Publications of *messages*, in this order, and the answers that each was given."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.answers: list[list[PublishError | None]] = [[] for _ in messages]
        self.publications = [
            Publication(message, self.answers[number].append, float(number)) for number, message in enumerate(messages)
        ]


def records_in(message: Message) -> int:
    """How many records *message* holds."""
    return len(json.loads(message.body)["records"]) if message.routing_key == messages.PACK else 1


def test_records_of_one_exchange_are_one_message() -> None:
    """Those of urgent events wait behind none of the others at the recorder, so they are a message of their own."""
    sent = packed(Sender([RECORD, URGENT, RECORD, URGENT, RECORD]).publications)
    exchanges = [(each.message.exchange, records_in(each.message)) for each in sent]
    assert exchanges == [(topology.OUTCOMES.name, 3), (topology.OUTCOMES_URGENT.name, 2)]
    assert [each.since for each in sent] == [0.0, 1.0], "a confirm is overdue by the oldest record"


@pytest.mark.parametrize("failure", [None, Refused("the queue is full")])
def test_each_record_is_answered_what_its_pack_is_answered(failure: PublishError | None) -> None:
    """Once, as without a pack: what waits for the confirm acknowledges its call then, and not before."""
    sender = Sender([RECORD, RECORD])
    [pack] = packed(sender.publications)
    assert sender.answers == [[], []]
    pack.settle(failure)
    pack.settle(Refused("a second answer"))
    assert sender.answers == [[failure], [failure]]


def test_whatever_is_no_record_goes_by_itself_and_in_its_order() -> None:
    """Calls and dead letters above all."""
    sent = packed(Sender([*OTHERS, RECORD, *OTHERS]).publications)
    assert [each.message for each in sent] == [*OTHERS, RECORD, *OTHERS]


@pytest.mark.parametrize("key", [messages.PACK, "x"])
def test_a_pack_is_never_packed_again(key: str) -> None:
    """Nor is anything else that is published there."""
    several = [Message(topology.OUTCOMES.name, key, b"{}")] * 3
    assert [each.message for each in packed(Sender(several).publications)] == several


def test_what_is_published_for_the_second_time_goes_as_it_was() -> None:
    """Else a record that came anew would count as one that was sent before."""
    sender = Sender([RECORD, RECORD, RECORD])
    sender.publications[0].was_resent = True
    assert [records_in(each.message) for each in packed(sender.publications)] == [1, 2]


def test_a_pack_is_bounded_in_records_and_in_bytes() -> None:
    """A record that is larger by itself goes alone."""
    small = Message(topology.OUTCOMES.name, "outcome", b"{}")
    many = packed(Sender([small] * (2 * MAX_RECORDS + 1)).publications)
    assert [records_in(each.message) for each in many] == [MAX_RECORDS, MAX_RECORDS, 1]
    large, huge = (Message(topology.OUTCOMES.name, "outcome", b'"%s"' % (b"x" * size)) for size in (6_000, MAX_SIZE))
    assert [records_in(each.message) for each in packed(Sender([large] * 5).publications)] == [2, 2, 1]
    assert [each.message for each in packed(Sender([huge] * 2).publications)] == [huge] * 2
