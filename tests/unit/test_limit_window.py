"""The window of a rate limit: never above it, whoever asks when, and nearly all of it where there is work."""

import random
from bisect import bisect_left
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.calls.rate_limits.window import Ages, Ask, Grant, Limit, Record, lease

MINUTE = 60.0


@dataclass
class Worker:
    """What one worker holds, and what it has to report."""

    ages: Ages = field(default_factory=Ages)
    held: int = 0
    spare: int = 0
    good_until: float = 0.0
    made: list[float] = field(default_factory=list)


@dataclass
class World:
    """A database and its clock, workers with permits, a provider that counts; real time is *now*."""

    limit: Limit
    now: float = 1e9
    set_by: float = 0.0  # how far the database's clock was set
    record: Record = field(default_factory=Record)
    workers: dict[str, Worker] = field(default_factory=dict)
    arrivals: list[float] = field(default_factory=list)

    def ask(  # noqa: PLR0913 - what a worker may need
        self, name: str, urgent: int = 0, routine: int = 0, *, spare: int = 0, leaves: bool = False, heard: bool = True
    ) -> Grant:
        """What worker *name* gets; the record goes through its text, as in the database. *heard*: by the worker."""
        worker = self.worker(name)
        made = tuple(self.now - at for at in worker.made)
        ask = Ask(name, urgent, routine, spare, worker.held, worker.spare, made, leaves=leaves)
        known = worker.ages.known(Record.load(self.record.dump()), self.now + self.set_by, self.now)
        self.record, grant = lease(self.limit, known, ask, self.now + self.set_by)
        if heard:
            worker.ages.remember(self.record, self.now)
            worker.made.clear()
            worker.held, worker.spare = worker.held + grant.permits, worker.spare + grant.spare
            worker.good_until = self.now + self.limit.permit_ttl
        return grant

    def worker(self, name: str) -> Worker:
        """The worker, with the permits that are good."""
        worker = self.workers.setdefault(name, Worker())
        if self.now >= worker.good_until:
            worker.held = worker.spare = 0
        return worker

    def use(self, name: str, count: int, late: float, *, spare: bool = False) -> int:
        """Make *count* calls with permits that are good; each arrives *late*. How many there were."""
        worker = self.worker(name)
        used = min(count, worker.spare if spare else worker.held)
        worker.held, worker.spare = (worker.held, worker.spare - used) if spare else (worker.held - used, worker.spare)
        worker.made += [self.now] * used
        self.arrivals += [self.now + late] * used
        return used

    def call(self, name: str, urgent: int = 0, routine: int = 0, late: float = 0.0) -> int:
        """Make the calls that are permitted at once; how many."""
        self.ask(name, urgent, routine)
        return self.use(name, urgent + routine, late)

    def worst(self) -> int:
        """The most calls that the provider saw in any window."""
        times = sorted(self.arrivals)
        return max((bisect_left(times, at + self.limit.window) - i for i, at in enumerate(times)), default=0)


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


def test_the_last_moment_of_use_and_the_slowest_way_are_reckoned_with() -> None:
    """Calls that arrive at the last moment share no window with those that follow as soon as there are permits."""
    world = World(Limit(30))
    world.ask("a", urgent=30)
    world.now += world.limit.permit_ttl - 0.01
    made_at = world.now
    world.use("a", 30, 1.0)
    while not world.call("b", urgent=30):
        world.now += 0.01
        world.ask("a")
    assert world.worst() == 30
    assert world.now <= made_at + 61.5


def test_calls_that_are_reported_together_count_until_the_last_of_them_has_left() -> None:
    """However finely ages are kept, none leaves the window before its time."""
    world = World(Limit(2))
    world.ask("a", urgent=2)
    world.use("a", 1, 0.0)
    world.now += 0.4
    world.use("a", 1, 1.0)
    world.ask("a")
    while not world.call("b", urgent=2):
        world.now += 0.01
    assert world.worst() == 2


def test_the_permits_of_a_worker_that_died_count_until_they_cannot_matter() -> None:
    """Nobody knows whether it has used them, and when."""
    world = World(Limit(30))
    world.ask("a", urgent=30)
    world.now += world.limit.permit_ttl - 0.01
    world.use("a", 30, 1.0)
    while not world.call("b", urgent=30):
        world.now += 0.1
    assert world.worst() == 30
    assert world.now <= 1e9 + 71.5


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


def test_a_permit_is_handed_back_once_and_only_where_it_is_booked() -> None:
    """What was booked long ago is nobody's to hand back, whatever the database's clock says."""
    world = World(Limit(5))
    world.ask("a", urgent=1)
    world.ask("b")
    world.now += 100
    world.set_by -= 100
    world.workers["a"].held = 0
    assert world.ask("b", urgent=5).permits + world.ask("a", urgent=5).permits <= 5


def test_a_clock_set_back_costs_no_more_than_a_window() -> None:
    """Even where no worker saw it happen."""
    world = World(Limit(5))
    world.call("a", urgent=5)
    world.ask("a")
    world.set_by = -3600.0
    assert world.ask("b", urgent=5).permits == 0
    world.now += 63
    assert world.ask("b", urgent=5).permits == 5


def test_a_clock_set_forward_between_two_looks_makes_nothing_old() -> None:
    """Workers that were there before go by their own clocks."""
    world = World(Limit(5))
    world.ask("b")
    world.call("a", urgent=5)
    world.ask("a")
    world.set_by = 3600.0
    assert world.ask("b", urgent=5).permits == 0


def test_a_clock_that_went_wrong_and_was_set_right_dates_nothing_back() -> None:
    """One worker books under the wrong clock; another never saw it wrong, and must not take the date for true."""
    world = World(Limit(5))
    for name in "ab":
        world.ask(name)
    world.set_by = -7.0
    world.call("b", urgent=5, late=1.0)
    world.set_by = 0.0
    world.now += 56
    world.call("a", urgent=5)
    assert world.worst() == 5


def test_a_worker_that_has_just_begun_goes_by_the_databases_clock() -> None:
    """What was used an hour ago, when the last worker stopped, takes nothing from it."""
    world = World(Limit(5))
    world.call("a", urgent=5)
    world.ask("a", leaves=True)
    world.now += 3600
    assert world.ask("b", urgent=5).permits == 5


def test_a_worker_out_of_sight_is_left_its_share() -> None:
    """From the moment it may be on its own until it is forgotten; one that says goodbye takes nothing along."""
    world = World(Limit(300))
    for name in "abc":
        world.ask(name)
    world.ask("c", leaves=True)
    world.now += 7
    assert world.ask("a", urgent=400).permits == 150
    assert world.ask("b", urgent=400).permits == 150


def test_what_was_used_out_of_sight_counts_once_it_is_told() -> None:
    """With its age, not with the moment it is told."""
    world = World(Limit(10))
    record, grant = lease(world.limit, Record(), Ask("a", urgent=10, made=(1.0, 30.0, 62.0, 90.0)), 1e9)
    assert grant.permits == 8
    ages = Ages()
    ages.remember(record, 0.0)
    later = ages.known(record, 1e9 + 40, 40.0)
    assert lease(world.limit, later, Ask("a", urgent=10, made=[40.0] * 8), 1e9 + 40)[1].permits == 1
