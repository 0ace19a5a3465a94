"""One acknowledgement settles many, and never one that is still in hand."""

from hypothesis import given
from hypothesis import strategies as st

from worker.broker import settled_tags
from worker.broker.settled_tags import SettledTags

TURNS = st.lists(st.lists(st.integers(0, 30), max_size=8), max_size=12)  # places in what is in hand


class _Broker:
    """What RabbitMQ does with acknowledgements: an unknown tag closes the channel, here as a KeyError."""

    def __init__(self, count: int) -> None:
        self.in_hand = set(range(1, count + 1))
        self.acknowledgements = 0

    def ack(self, tag: int, *, multiple: bool) -> None:
        self.in_hand.remove(tag)
        self.acknowledgements += 1
        if multiple:
            self.in_hand -= set(range(tag))


@given(turns=TURNS, rejected=st.sets(st.integers(1, 30)))
def test_exactly_what_is_settled_leaves_the_broker(turns: list[list[int]], rejected: set[int]) -> None:
    """In whatever order calls end, and whichever of them are given back."""
    broker, tags, in_hand = _Broker(30), SettledTags(), set(range(1, 31))
    for turn in turns:
        chosen = sorted(in_hand)
        settled = [*dict.fromkeys(chosen[n] for n in turn if n < len(chosen))]
        for tag in rejected.intersection(settled):
            tags.add(tag)
            broker.in_hand.remove(tag)
        for tag, multiple in tags.acks([tag for tag in settled if tag not in rejected]):
            broker.ack(tag, multiple=multiple)
        in_hand -= set(settled)
        assert broker.in_hand == in_hand


def test_a_batch_in_order_is_one_acknowledgement() -> None:
    """And the next one as well."""
    tags = SettledTags()
    assert tags.acks([*range(1, 101)]) == [(100, True)]
    assert tags.acks([103, 102, 101]) == [(103, True)]
    assert tags.acks([104]) == [(104, False)]


def test_above_one_that_is_in_hand_each_is_acknowledged_alone() -> None:
    """Until that one is settled, too."""
    tags = SettledTags()
    assert tags.acks([1, 2, 4, 5]) == [(2, True), (4, False), (5, False)]
    assert tags.acks([3, 7]) == [(3, False), (7, False)]
    assert tags.acks([6, 8]) == [(8, True)]


def test_what_is_forgotten_counts_as_in_hand() -> None:
    """A delivery that is never settled costs no memory without end, and nothing is settled that should not be."""
    tags, most = SettledTags(), settled_tags.MAX_SCATTERED_TAGS
    for tag in range(2, most + 3):
        assert tags.acks([tag]) == [(tag, False)]
    assert tags.acks([1]) == [(1, False)]
    assert tags.acks([most + 3, most + 4]) == [(most + 3, False), (most + 4, False)]
