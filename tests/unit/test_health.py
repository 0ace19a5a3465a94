"""What a process knows of its own health: the loop's signs, the topology, the queues."""

import pytest

from worker.observability.health import Health
from worker.observability.snapshot import KEPT_SECONDS, REST, Snapshot


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """It stands."""
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    """A process whose loop is to give a sign every 5 seconds."""
    made = Health(clock)
    made.begin(5.0)
    return made


def test_a_loop_without_signs_is_not_live(health: Health, clock: Clock) -> None:
    """It was stopped, or hangs; a new sign makes it live again."""
    clock.now += 5
    assert health.live.is_yes
    clock.now += 0.1
    assert not health.live.is_yes
    assert health.live.why == "no sign of the loop for 5 s"
    health.beat()
    assert health.live.is_yes


def test_what_is_known_to_take_long_is_waited_for(health: Health, clock: Clock) -> None:
    """A connection, a migration: the sign before it says so, and the next one counts as ever."""
    health.beat(60.0)
    clock.now += 65
    assert health.live.is_yes
    health.beat()
    clock.now += 6
    assert not health.live.is_yes


def test_a_broker_that_is_away_leaves_the_process_alive(health: Health, clock: Clock) -> None:
    """Nobody restarts it: its loop gives signs while it waits."""
    health.not_consuming("the broker is away")
    clock.now += 4
    health.beat()
    assert health.live.is_yes
    assert (health.ready.is_yes, health.ready.why) == (False, "the broker is away")


def test_it_has_started_once_the_topology_was_seen(health: Health) -> None:
    """And stays started, whatever becomes of the broker."""
    assert not health.started.is_yes
    health.topology_seen()
    health.not_consuming("the broker is away")
    assert health.started.is_yes


def test_it_is_ready_while_it_consumes_and_lives(health: Health, clock: Clock) -> None:
    """A loop that stands still takes nothing, whatever it said last."""
    assert not health.ready.is_yes
    health.consuming()
    assert health.ready.is_yes
    clock.now += 6
    assert not health.ready.is_yes
    assert "no sign" in health.ready.why


def test_an_old_figure_is_no_figure(clock: Clock) -> None:
    """It is shown until it should have been renewed several times; then nothing is."""
    snapshot: Snapshot[int | None] = Snapshot(5.0, None, clock)
    assert (snapshot.is_due, snapshot.value) == (True, None)
    snapshot.keep(7, 0.01)
    assert (snapshot.is_due, snapshot.value) == (False, 7)
    clock.now += 5
    assert snapshot.is_due
    snapshot.postpone()
    assert not snapshot.is_due
    clock.now += KEPT_SECONDS - 0.1
    assert snapshot.value == 7
    clock.now += 0.2
    assert snapshot.value is None


def test_a_look_that_takes_long_is_taken_less_often(clock: Clock) -> None:
    """A twentieth of the time is enough for figures."""
    snapshot = Snapshot(5.0, 0, clock)
    snapshot.keep(1, seconds=2.0)
    clock.now += 2.0 * REST - 0.1
    assert (snapshot.is_due, snapshot.value) == (False, 1)
    clock.now += 0.2
    assert (snapshot.is_due, snapshot.value) == (True, 1)
