"""The registry: which calls a hold covers, when it is over, and whom to believe."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from worker.calls.holds.hold import Hold, OpenedBy, Scope
from worker.calls.holds.registry import BreakerState, HoldRegistry

NOW = datetime(2026, 11, 21, 1, 20, tzinfo=UTC)


class Clock:
    """Both clocks, moved by the test; *jump* moves the one people set."""

    def __init__(self) -> None:
        self.seconds, self.jump = 1000.0, 0.0

    def monotonic(self) -> float:
        """Seconds since some time."""
        return self.seconds

    def now(self) -> datetime:
        """The time of the world."""
        return NOW + timedelta(seconds=self.seconds - 1000 + self.jump)


@pytest.fixture
def clock() -> Clock:
    """The clocks of the registry under test."""
    return Clock()


@pytest.fixture
def registry(clock: Clock) -> HoldRegistry:
    """A registry on which every call of wibmo is made with our own credential."""
    return HoldRegistry({"wibmo"}, 60.0, clock.monotonic, clock.now)


def hold(scope: Scope, opened_by: OpenedBy = OpenedBy.BREAKER, provider: str = "genesys", seconds: float = 15) -> Hold:
    """A hold of *seconds*."""
    return Hold(provider, scope, opened_by, "host:1", "auth.forbidden", NOW, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("provider", "scope", "theirs_wait", "shut"),
    [
        ("genesys", Scope.WORKER, False, False),
        ("genesys", Scope.ALL, True, True),
        ("wibmo", Scope.WORKER, False, True),
        ("wibmo", Scope.ALL, True, True),
    ],
)
def test_a_hold_covers_its_scope_and_shuts_where_nothing_is_left(
    registry: HoldRegistry,
    provider: str,
    scope: Scope,
    theirs_wait: bool,  # noqa: FBT001 - a case
    shut: bool,  # noqa: FBT001 - a case
) -> None:
    """Our own calls wait for either; other providers for none."""
    registry.put(hold(scope, provider=provider), 15)
    assert registry.blocking(provider, own_credential=True)
    assert bool(registry.blocking(provider, own_credential=False)) is theirs_wait
    assert registry.is_paused(provider) is shut
    assert not registry.is_paused("finbourne")
    assert not registry.blocking("finbourne", own_credential=True)


@pytest.mark.parametrize("opened_by", OpenedBy)
def test_a_breakers_hold_is_probed_when_the_others_are_over(
    registry: HoldRegistry, clock: Clock, opened_by: OpenedBy
) -> None:
    """Only a success ends it."""
    registry.put(hold(Scope.ALL, opened_by), 15)
    assert not registry.may_probe("genesys")
    clock.seconds += 15
    is_breaker = opened_by is OpenedBy.BREAKER
    assert registry.is_paused("genesys") is is_breaker
    assert registry.may_probe("genesys") is is_breaker


def test_nothing_is_probed_while_an_operator_says_no(registry: HoldRegistry) -> None:
    """Whatever the breaker would like to know."""
    registry.put(hold(Scope.ALL), 0)
    registry.put(hold(Scope.ALL, OpenedBy.OPERATOR), 60)
    assert not registry.may_probe("genesys")


@pytest.mark.parametrize("hours", [-1, 24])
def test_a_clock_that_is_set_holds_nobody_for_longer(registry: HoldRegistry, clock: Clock, hours: int) -> None:
    """A breaker's hold is counted from when it was first seen, and believed for a minute at most."""
    registry.merge([hold(Scope.ALL)], set())
    clock.jump = hours * 3600
    registry.merge([hold(Scope.ALL)], set())
    clock.seconds += 15
    assert registry.may_probe("genesys")
    registry.merge([replace(hold(Scope.WORKER), until=NOW + timedelta(days=1))], set())
    clock.seconds += 60
    assert all(registry.seconds_left(each) == 0 for each in registry.blocking("genesys", own_credential=True))


def test_the_later_version_is_true(registry: HoldRegistry) -> None:
    """What the ledger said before our own claim reached it does not undo the claim."""
    old = hold(Scope.ALL)
    registry.merge([old], set())
    registry.put(replace(old, version=1), 30)
    registry.merge([old], set())
    [standing] = registry.blocking("genesys", own_credential=False)
    assert standing.hold.version == 1
    registry.merge([replace(old, version=2)], set())
    [standing] = registry.blocking("genesys", own_credential=False)
    assert standing.hold.version == 2


def test_what_is_gone_elsewhere_is_gone_here_but_for_our_own_news(registry: HoldRegistry) -> None:
    """The ledger does not know yet of what we have just opened."""
    mine, theirs = hold(Scope.WORKER), hold(Scope.ALL, provider="finbourne")
    registry.put(mine, 15)
    registry.put(theirs, 15)
    assert registry.merge([], {mine.key}) == {"finbourne"}
    assert registry.get(mine.key)
    assert registry.merge([], set()) == {"genesys"}


def test_what_the_metrics_say_of_a_provider(registry: HoldRegistry, clock: Clock) -> None:
    """Nothing holds it, it is probed, it is held by its failures, or by a person; a hold of one source is no state."""
    assert registry.state("genesys") is BreakerState.CLOSED
    registry.put(replace(hold(Scope.ALL), source="idp"), 15)
    assert registry.state("genesys") is BreakerState.CLOSED
    registry.put(hold(Scope.WORKER), 15)
    assert registry.state("genesys") is BreakerState.OPEN
    clock.seconds += 15
    assert registry.state("genesys") is BreakerState.HALF_OPEN
    registry.put(hold(Scope.ALL, OpenedBy.PROVIDER), 5)
    assert registry.state("genesys") is BreakerState.OPEN
    registry.put(hold(Scope.ALL, OpenedBy.OPERATOR), 5)
    assert registry.state("genesys") is BreakerState.HELD_BY_OPERATOR
    assert registry.state("wibmo") is BreakerState.CLOSED
