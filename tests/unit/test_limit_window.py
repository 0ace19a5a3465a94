"""The window of a rate limit: never above it, whoever asks when, and nearly all of it where there is work."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limit_world import World

from worker.calls.rate_limits.window import Limit

MINUTE = 60.0
MOVES = st.tuples(
    st.sampled_from("abc"),
    st.integers(0, 40),  # urgent
    st.integers(0, 40),  # routine
    st.floats(0, 1),  # how much of it is used, the rest is kept or handed back
    st.floats(0, 1),  # seconds until it arrives: network_jitter
    st.one_of(st.floats(0, 1), st.floats(0, 90)),  # seconds until the next move
    st.sampled_from([0.0] * 9 + [0.5, -0.5, 7.0, -7.0, 65.0, 3600.0, -3600.0, 86_400.0]),  # a step of the clock
    st.booleans(),  # whether the rest is handed back
    st.sampled_from([True] * 4 + [False]),  # whether the worker hears the answer
)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 60), st.lists(MOVES, max_size=60))
def test_no_window_is_ever_above_the_limit(
    calls: int, moves: list[tuple[str, int, int, float, float, float, float, bool, bool]]
) -> None:
    """Whatever the workers' order, whatever is kept or handed back, however the database's clock is set."""
    world = World(Limit(calls))
    for name in "abc":
        world.ask(name)
    for name, urgent, routine, share, late, pause, step, hands_back, heard in moves:
        grant = world.ask(name, urgent, routine, heard=heard)
        world.use(name, round(grant.permits * share), late)
        if hands_back:
            world.workers[name].held = 0
        world.now += pause
        world.set_by += step
    assert world.worst() <= calls


AHEAD = st.tuples(
    st.sampled_from("abc"),
    st.sampled_from(["look", "use", "use spare"]),
    st.integers(0, 20),  # wanted, or used
    st.integers(0, 20),  # routine
    st.floats(0, 1),  # how late what is used arrives: network_jitter
    st.one_of(st.floats(0, 1), st.floats(0, 12), st.floats(0, 90)),  # seconds until the next move
    st.sampled_from([0.0] * 9 + [0.5, -0.5, 7.0, -7.0, 65.0, -3600.0]),  # a step of the clock
)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 60), st.lists(AHEAD, max_size=60))
def test_no_window_is_above_the_limit_by_what_is_leased_ahead(
    calls: int, moves: list[tuple[str, str, int, int, float, float, float]]
) -> None:
    """Whether it is used at once or at the last moment, booked anew, or expires unused; whoever else calls."""
    world = World(Limit(calls))
    for name in "abc":
        world.ask(name)
    for name, what, count, routine, late, pause, step in moves:
        if what == "look":
            world.ask(name, routine=routine, spare=max(0, count - world.worker(name).spare))
        else:
            world.use(name, count, late, spare=what == "use spare")
        world.now += pause
        world.set_by += step
    assert world.worst() <= calls


def test_what_is_leased_ahead_and_never_used_takes_nothing_from_routine_calls() -> None:
    """It lies in the part of the limit that they leave to urgent calls, however long it lies there."""
    world = World(Limit(300))
    for _ in range(200):
        world.ask("a", spare=15 - world.worker("a").spare)
        world.call("b", routine=50)
        world.now += 0.6
    arrived = [at for at in world.arrivals if at > world.now - MINUTE]
    assert len(arrived) >= 0.9 * 300
    assert world.worker("a").spare == 15
    assert world.ask("b", urgent=400).permits + 15 + len(arrived) <= 300


def busy(world: World, seconds: float, *, urgent: int = 0, routine: int = 0, seed: int = 1) -> int:
    """Three workers with no end of work, each looking every half second or so; the calls made in *seconds*."""
    chance, before = random.Random(seed), len(world.arrivals)  # noqa: S311 - the same every time
    due = dict.fromkeys("abc", world.now)
    end = world.now + seconds
    while world.now < end:
        worker = min(due, key=lambda name: due[name])
        world.now = max(world.now, due[worker])
        world.call(worker, urgent, routine, chance.uniform(0, 0.2))
        due[worker] = world.now + chance.uniform(0.4, 0.8)
    return len(world.arrivals) - before


@pytest.mark.parametrize("calls", [20, 60, 300, 6000])
@pytest.mark.parametrize("lane", ["urgent", "routine"])
def test_a_backlog_gets_nine_tenths_of_the_limit(calls: int, lane: str) -> None:
    """In the long run and after a first window, with the limit kept all the while."""
    world = World(Limit(calls))
    busy(world, MINUTE, **{lane: 10 + calls // 30})
    made = busy(world, 10 * MINUTE, **{lane: 10 + calls // 30})
    assert made >= 0.9 * 10 * calls
    assert world.worst() <= calls


def test_routine_calls_leave_one_in_twenty_to_urgent_ones() -> None:
    """However much there is to do; with a limit of 1 there is nothing to divide."""
    for calls, left in ((300, 15), (20, 1), (2, 1), (1, 0)):
        world = World(Limit(calls))
        busy(world, 2 * MINUTE, routine=50)
        assert world.ask("a", urgent=100).permits >= left
        assert world.ask("b", urgent=1).permits == 0


def test_after_a_quiet_minute_the_whole_limit_is_there_for_urgent_calls() -> None:
    """A hundred people disabled at once are logged out at once; routine calls keep to their pace."""
    assert World(Limit(300)).ask("a", urgent=400).permits == 300
    assert 1 <= World(Limit(300)).ask("a", routine=400).permits <= 300 * 2 / 60


def test_routine_calls_give_way_while_urgent_ones_need_more_than_the_reserve() -> None:
    """What leaves the window is the urgent calls' until their crowd is gone."""
    world = World(Limit(300))
    busy(world, 2 * MINUTE, routine=50)
    world.call("a", urgent=100)
    world.now += 3
    assert world.ask("b", routine=10).permits == 0
    assert world.ask("a", urgent=10).permits == 10
