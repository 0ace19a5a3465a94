"""Ten thousand providers: what one look at them costs grows as their number does, and no faster."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from limit_world import World

from worker.broker import topology
from worker.calls.holds.hold import Hold, OpenedBy, Scope
from worker.calls.holds.registry import HoldRegistry
from worker.calls.rate_limits.window import Limit
from worker.engine import queues
from worker.engine.queues import PausingConsumer, pausing

MANY = [f"provider-{number}" for number in range(10_000)]
NOW = datetime(2026, 11, 27, tzinfo=UTC)


class Ticks:
    """A clock that counts who asks it, and goes on by itself by *step* seconds each time."""

    def __init__(self, step: float = 0.0) -> None:
        self.step, self.seconds, self.asked = step, 1000.0, 0

    def __call__(self) -> float:
        """Seconds since some time."""
        self.asked += 1
        self.seconds += self.step
        return self.seconds


class Channel:
    """A channel to a broker whose queues are empty: *asked* are the queues that were asked for a message."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def basic_get(self, name: str) -> None:
        """Note it."""
        self.asked.append(name)

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args, **_options: None


class Held(HoldRegistry):
    """All of MANY held by their breakers, *seconds* before the probe."""

    def __init__(self, clock: Ticks, seconds: float) -> None:
        super().__init__(frozenset(), 60.0, clock, lambda: NOW)
        until = NOW + timedelta(seconds=seconds)
        self.merge((Hold(each, Scope.ALL, OpenedBy.BREAKER, "host:1", "http.5xx", NOW, until) for each in MANY), ())

    def on_opened(self) -> None:
        """Nobody listens."""


def consumer(holds: Any, channel: Channel) -> PausingConsumer:
    """A worker's consumer of all queues of MANY."""
    return pausing(lambda _queue: 10, lambda: holds)(channel, topology.task_queues(MANY))


def test_a_look_at_all_held_providers_asks_the_clock_a_few_times_for_each() -> None:
    """With each of them looking at the holds of all, a look would be a hundred million steps."""
    clock = Ticks()
    held = Held(clock, 15)
    clock.asked = 0
    assert all(held.is_paused(each) and not held.may_probe(each) for each in MANY)
    assert clock.asked <= 3 * len(MANY)


def test_a_look_takes_a_bounded_time_for_probes_and_the_next_one_goes_on_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question stops the calls for a moment; all providers have their turn, none twice before the others."""
    channel, clock = Channel(), Ticks(step=0.001)
    monkeypatch.setattr(queues, "time", SimpleNamespace(monotonic=clock))
    consuming = consumer(Held(Ticks(), 0), channel)
    looks = []
    for _ in range(10):
        before, channel.asked = clock.seconds, []
        consuming.adjust()
        assert clock.seconds - before <= queues.PROBES_TIME + 0.01
        looks.append(channel.asked)
    asked = list(itertools.chain(*looks))
    assert len(asked) == len(set(asked))
    assert all(looks)


def test_the_record_of_a_limit_does_not_grow_with_its_calls() -> None:
    """A busy hour of three workers: bookings are grouped by half seconds, and a minute's worth is kept."""
    world, sizes = World(Limit(300)), []
    for second in range(240):
        world.now += 1
        for name in "abc":
            world.call(name, urgent=1, routine=3)
        sizes.append(len(world.record.dump()) if second >= 120 else 0)
    assert max(sizes) < 20_000
