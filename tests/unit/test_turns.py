"""Sources take turns: in the line for permits, and in the places of a queue."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.call import Lane
from tasks.runtime import GivenBack
from worker.calls.rate_limits.line import Line
from worker.calls.rate_limits.shares import LONGEST, Promises, has_share


async def served(line: Line, count: int) -> list[str]:
    """Who gets the next *count* permits."""
    waiting = {
        turn: source for sources in line._waiting.values() for source, turns in sources.items() for turn in turns
    }
    order = []
    for _ in range(count):
        before = {turn for turn in waiting if turn.done()}
        line.call(None)
        order += [waiting[turn] for turn in waiting if turn.done() and turn not in before]
    return order


async def test_sources_take_turns_within_a_lane() -> None:
    """However many calls of one of them came first; within a source, in order of arrival."""
    line = Line()
    first = [line.join(Lane.URGENT, "feed") for _ in range(5)]
    for source in ("hr", "hr", "idp"):
        line.join(Lane.URGENT, source)
    assert line.counts(Lane.URGENT) == {"feed": 5, "hr": 2, "idp": 1}
    assert await served(line, 8) == ["feed", "hr", "idp", "feed", "hr", "feed", "feed", "feed"]
    assert [turn.done() for turn in first] == [True] * 5
    assert not line


async def test_an_urgent_call_goes_before_every_routine_one() -> None:
    """Whatever their sources."""
    line = Line()
    for lane, source in ((Lane.ROUTINE, "a"), (Lane.URGENT, "a"), (Lane.ROUTINE, "b"), (Lane.URGENT, "c")):
        line.join(lane, f"{lane} {source}")
    assert await served(line, 4) == ["urgent a", "urgent c", "routine a", "routine b"]


async def test_who_has_gone_is_passed_over_and_a_stop_sends_the_rest_away() -> None:
    """No permit is lost on either."""
    line = Line()
    gone, stays = line.join(Lane.URGENT, "a"), line.join(Lane.URGENT, "a")
    gone.cancel()
    assert line.counts(Lane.URGENT) == {"a": 1}
    line.dismiss()
    with pytest.raises(GivenBack):
        await stays
    assert not line.call(None)
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
    promises = Promises(lambda: 0.0)
    assert [promises.next("feed", 0.2) for _ in range(900)][::100] == [
        1,
        21,
        41,
        61,
        81,
        101,
        LONGEST,
        LONGEST,
        LONGEST,
    ]
    assert promises.next("hr", 0.2) == 1
