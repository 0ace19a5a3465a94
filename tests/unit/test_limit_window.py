"""The window of a rate limit: never above it, whoever asks when, and nearly all of it where there is work."""

import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.calls.rate_limits.steadiness import Sight
from worker.calls.rate_limits.window import Ask, Grant, Limit, Record, lease

MINUTE = 60.0


@dataclass
class World:
    """A database and its clock, workers with permits, a provider that counts; real time is *now*."""

    limit: Limit
    now: float = 1e9
    set_by: float = 0.0  # how far the database's clock was set
    record: Record = field(default_factory=Record)
    sights: dict[str, Sight] = field(default_factory=dict)
    eras: dict[str, int] = field(default_factory=dict)
    arrivals: list[float] = field(default_factory=list)

    def ask(
        self, worker: str, urgent: int = 0, routine: int = 0, unused: Mapping[int, int] | None = None, **ahead: Any
    ) -> Grant:
        """What *worker* gets; the record goes through its text, as in the database."""
        sight = Sight.of(self.now, self.now + self.set_by, self.now)
        steady = worker not in self.sights or self.sights[worker].agrees(sight)
        self.sights[worker] = sight
        ask = Ask(worker, urgent, routine, unused or {}, steady=steady, era=self.eras.get(worker), **ahead)
        record, grant = lease(self.limit, Record.load(self.record.dump()), ask, self.now + self.set_by)
        self.record, self.eras[worker] = record, grant.era
        return grant

    def call(self, count: int, late: float) -> None:
        """Use *count* permits, and have the requests arrive *late* after they were leased."""
        self.arrivals += [self.now + late] * count

    def worst(self) -> int:
        """The most calls that the provider saw in any window."""
        times = sorted(self.arrivals)
        return max((bisect_left(times, at + self.limit.window) - i for i, at in enumerate(times)), default=0)


MOVES = st.tuples(
    st.sampled_from("abc"),
    st.integers(0, 40),  # urgent
    st.integers(0, 40),  # routine
    st.floats(0, 1),  # how much of it is used, the rest is handed back next time
    st.floats(0, 2),  # seconds until it arrives: usable + spread
    st.one_of(st.floats(0, 1), st.floats(0, 90)),  # seconds until the next move
    st.sampled_from([0.0] * 9 + [0.5, -0.5, 7.0, -7.0, 65.0, 3600.0, -3600.0, 86_400.0]),  # a step of the clock
)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 60), st.lists(MOVES, max_size=60))
def test_no_window_is_ever_above_the_limit(
    calls: int, moves: list[tuple[str, int, int, float, float, float, float]]
) -> None:
    """Whatever the workers' order, whatever is used late or handed back, however the database's clock is set."""
    world, unused = World(Limit(calls)), {name: dict[int, int]() for name in "abc"}
    for name in "abc":
        world.ask(name)
    for worker, urgent, routine, share, late, pause, step in moves:
        grant = world.ask(worker, urgent, routine, unused.pop(worker, {}))
        used = round(grant.permits * share)
        world.call(used, late)
        unused[worker] = {grant.slot: grant.permits - used}
        world.now += pause
        world.set_by += step
    assert world.worst() <= calls


@dataclass
class Ahead:
    """A worker that leases ahead: the permits it has, each as (slot, good until)."""

    name: str
    permits: list[tuple[int, float]] = field(default_factory=list)
    unused: Counter[int] = field(default_factory=Counter)

    def look(self, world: World, wanted: int, routine: int) -> None:
        """Tell what ran out, have the rest booked anew, and get more."""
        self.sort_out(world.now)
        kept, unused = Counter(slot for slot, _ in self.permits), self.unused
        self.unused = Counter()
        missing = max(0, wanted - kept.total())
        grant = world.ask(self.name, routine=routine, ahead=missing, unused_ahead=unused, kept_ahead=kept)
        world.call(grant.permits, 2.0)
        until = world.now + world.limit.lasting
        if grant.kept_ahead == kept.total():
            self.permits = [(grant.slot, until)] * kept.total()
        else:
            self.permits = []  # booked, and never used
        self.permits += [(grant.slot, until)] * grant.ahead

    def use(self, world: World, count: int, late: float) -> None:
        """Make *count* calls with permits that are good, the oldest first; each arrives *late*."""
        self.sort_out(world.now)
        used, self.permits = self.permits[:count], self.permits[count:]
        world.call(len(used), late)

    def sort_out(self, now: float) -> None:
        """Put what ran out aside."""
        self.unused.update(slot for slot, until in self.permits if until < now)
        self.permits = [(slot, until) for slot, until in self.permits if until >= now]


AHEAD = st.tuples(
    st.sampled_from("abc"),
    st.booleans(),  # whether it looks, or uses
    st.integers(0, 20),  # wanted, or used
    st.integers(0, 20),  # routine
    st.floats(0, 1),  # how late what is used arrives: spread
    st.one_of(st.floats(0, 1), st.floats(0, 12), st.floats(0, 90)),  # seconds until the next move
    st.sampled_from([0.0] * 9 + [0.5, -0.5, 7.0, -7.0, 65.0, -3600.0]),  # a step of the clock
)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 60), st.lists(AHEAD, max_size=60))
def test_no_window_is_above_the_limit_by_what_is_leased_ahead(
    calls: int, moves: list[tuple[str, bool, int, int, float, float, float]]
) -> None:
    """Whether it is used at once or at the last moment, booked anew, or runs out unused; whoever else calls."""
    world, workers = World(Limit(calls)), {name: Ahead(name) for name in "abc"}
    for worker in workers.values():
        worker.look(world, 0, 0)
    for name, looks, count, routine, late, pause, step in moves:
        if looks:
            workers[name].look(world, count, routine)
        else:
            workers[name].use(world, count, late)
        world.now += pause
        world.set_by += step
    assert world.worst() <= calls


def test_what_is_leased_ahead_and_never_used_takes_nothing_from_routine_calls() -> None:
    """It lies in the part of the limit that they leave to urgent calls, however long it lies there."""
    world, worker = World(Limit(300)), Ahead("a")
    for _ in range(200):
        worker.look(world, 15, 0)
        world.call(world.ask("b", routine=50).permits, 0.0)
        world.now += 0.6
    arrived = [at for at in world.arrivals if at > world.now - MINUTE]
    assert len(arrived) >= 0.9 * 300
    assert len(worker.permits) == 15
    assert world.ask("b", urgent=400).permits + 15 + len(arrived) <= 300


def busy(world: World, seconds: float, *, urgent: int = 0, routine: int = 0, seed: int = 1) -> int:
    """Three workers with no end of work, each looking every half second or so; the calls made in *seconds*."""
    chance, before = random.Random(seed), len(world.arrivals)  # noqa: S311 - the same every time
    due = dict.fromkeys("abc", world.now)
    end = world.now + seconds
    while world.now < end:
        worker = min(due, key=lambda name: due[name])
        world.now = max(world.now, due[worker])
        world.call(world.ask(worker, urgent, routine).permits, chance.uniform(0, 0.2))
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


def test_the_last_moment_of_use_and_the_slowest_way_are_reckoned_with() -> None:
    """Calls that arrive two seconds late share no window with those leased as soon as there are permits again."""
    world = World(Limit(30))
    world.call(world.ask("a", urgent=30).permits, 2.0)
    while not (grant := world.ask("b", urgent=30)).permits:
        world.now += 0.01
    world.call(grant.permits, 0.0)
    assert world.worst() == 30
    assert world.now <= 1e9 + 62.5


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
    world.ask("a", urgent=100)
    world.now += 3
    assert world.ask("b", routine=10).permits == 0
    assert world.ask("a", urgent=10).permits == 10


def test_a_permit_is_handed_back_once_and_only_where_the_clock_agrees() -> None:
    """A slot that comes again after the clock was set back is not the slot of that permit."""
    world = World(Limit(5))
    first = world.ask("a", urgent=1)
    world.ask("b")
    world.now += 100
    world.set_by -= 100
    assert world.ask("b", urgent=5).permits + world.ask("a", urgent=5, unused={first.slot: 1}).permits <= 5


def test_a_clock_set_back_costs_no_more_than_a_window() -> None:
    """Even where no worker saw it happen."""
    world = World(Limit(5))
    world.ask("a", urgent=5)
    world.set_by = -3600.0
    assert world.ask("b", urgent=5).permits == 0
    world.now += 63
    assert world.ask("b", urgent=5).permits == 5


def test_a_clock_that_went_wrong_and_was_set_right_dates_nothing_back() -> None:
    """One worker books under the wrong clock; another never saw it wrong, and must not take the date for true."""
    world = World(Limit(5))
    for name in "ab":
        world.ask(name)
    world.set_by = -7.0
    world.call(world.ask("b", urgent=5).permits, 2.0)
    world.set_by = 0.0
    world.now += 56
    world.call(world.ask("a", urgent=5).permits, 0.0)
    assert world.worst() == 5


def test_a_worker_out_of_sight_is_left_its_share() -> None:
    """From the moment it may be on its own until it is forgotten; one that says goodbye takes nothing along."""
    world = World(Limit(300))
    for name in "abc":
        world.ask(name)
    world.record, _ = lease(world.limit, world.record, Ask("c", leaves=True), world.now)
    world.now += 7
    assert world.ask("a", urgent=400).permits == 150
    assert world.ask("b", urgent=400).permits == 150


def test_what_was_used_out_of_sight_counts_once_it_is_told() -> None:
    """With its age, not with the moment it is told."""
    world = World(Limit(10))
    record, grant = lease(world.limit, Record(), Ask("a", urgent=10, alone=(1.0, 30.0, 61.0, 90.0)), 1e9)
    assert grant.permits == 7
    _, later = lease(world.limit, record, Ask("a", urgent=10), 1e9 + 40)
    assert later.permits == 2
