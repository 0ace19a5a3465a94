"""Sources take turns: in the queue for permits, and in the places of a queue."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.call import Lane
from tasks.runtime import GivenBack
from worker.calls.rate_limits.wait_queue import MAX_DELAY, SourceDelays, WaitQueue, has_share


async def served(queue: WaitQueue, count: int) -> list[str]:
    """Who gets the next *count* permits."""
    waiting = {
        turn: source for sources in queue._waiting.values() for source, turns in sources.items() for turn in turns
    }
    order = []
    for _ in range(count):
        before = {turn for turn in waiting if turn.done()}
        queue.serve(None)
        order += [waiting[turn] for turn in waiting if turn.done() and turn not in before]
    return order


async def test_sources_take_turns_within_a_lane() -> None:
    """However many calls of one of them came first; within a source, in order of arrival."""
    queue = WaitQueue()
    first = [queue.join(Lane.URGENT, "feed") for _ in range(5)]
    for source in ("hr", "hr", "idp"):
        queue.join(Lane.URGENT, source)
    assert queue.counts(Lane.URGENT) == {"feed": 5, "hr": 2, "idp": 1}
    assert await served(queue, 8) == ["feed", "hr", "idp", "feed", "hr", "feed", "feed", "feed"]
    assert [turn.done() for turn in first] == [True] * 5
    assert not queue


async def test_an_urgent_call_goes_before_every_routine_one() -> None:
    """Whatever their sources."""
    queue = WaitQueue()
    for lane, source in ((Lane.ROUTINE, "a"), (Lane.URGENT, "a"), (Lane.ROUTINE, "b"), (Lane.URGENT, "c")):
        queue.join(lane, f"{lane} {source}")
    assert await served(queue, 4) == ["urgent a", "urgent c", "routine a", "routine b"]


async def test_a_call_that_was_cancelled_is_passed_over_and_a_stop_gives_the_rest_back() -> None:
    """No permit is lost on either."""
    queue = WaitQueue()
    gone, stays = queue.join(Lane.URGENT, "a"), queue.join(Lane.URGENT, "a")
    gone.cancel()
    assert queue.counts(Lane.URGENT) == {"a": 1}
    queue.cancel_pending()
    with pytest.raises(GivenBack):
        await stays
    assert not queue.serve(None)
    await asyncio.gather(gone, return_exceptions=True)


@given(st.lists(st.sampled_from("aaaaaaabc"), max_size=80), st.integers(2, 40))
def test_no_source_keeps_another_from_waiting(arrivals: list[str], places: int) -> None:
    """One that has a single call gets a place while there are fewer sources than half the places; one is left free."""
    waiting: dict[str, int] = {}
    for source in arrivals:
        if has_share(waiting, source, places):
            waiting[source] = waiting.get(source, 0) + 1
    assert sum(waiting.values()) <= max(1, places - 1)
    assert all(count <= max(1, places // 2) for count in waiting.values())
    newcomer_fits = sum(waiting.values()) < max(1, places - 1)
    assert has_share(waiting, "newcomer", places) is newcomer_fits
    if len(waiting) < places // 4:
        assert newcomer_fits


def test_what_is_put_back_comes_again_at_the_pace_of_the_limit() -> None:
    """Each source by its own count, at least a second later, and never much later."""
    delays = SourceDelays(lambda: 0.0)
    assert [delays.next("feed", 0.2) for _ in range(900)][::100] == [
        1,
        21,
        41,
        61,
        81,
        101,
        MAX_DELAY,
        MAX_DELAY,
        MAX_DELAY,
    ]
    assert delays.next("hr", 0.2) == 1
