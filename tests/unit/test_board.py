"""The board: which calls a hold covers, when it is over, and whom to believe."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from worker.calls.holds.hold import Hold, Opener, Scope
from worker.calls.holds.registry import Board

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
    """The clocks of the board under test."""
    return Clock()


@pytest.fixture
def board(clock: Clock) -> Board:
    """A board on which every call of wibmo is made with our own credential."""
    return Board({"wibmo"}, 60.0, clock.monotonic, clock.now)


def hold(scope: Scope, opened_by: Opener = Opener.BREAKER, provider: str = "genesys", seconds: float = 15) -> Hold:
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
    board: Board,
    provider: str,
    scope: Scope,
    theirs_wait: bool,  # noqa: FBT001 - a case
    shut: bool,  # noqa: FBT001 - a case
) -> None:
    """Our own calls wait for either; other providers for none."""
    board.put(hold(scope, provider=provider), 15)
    assert board.blocking(provider, ours=True)
    assert bool(board.blocking(provider, ours=False)) is theirs_wait
    assert board.shuts(provider) is shut
    assert not board.shuts("finbourne")
    assert not board.blocking("finbourne", ours=True)


@pytest.mark.parametrize("opened_by", Opener)
def test_a_breakers_hold_is_probed_when_the_others_are_over(board: Board, clock: Clock, opened_by: Opener) -> None:
    """Only a success ends it."""
    board.put(hold(Scope.ALL, opened_by), 15)
    assert not board.may_probe("genesys")
    clock.seconds += 15
    is_breaker = opened_by is Opener.BREAKER
    assert board.shuts("genesys") is is_breaker
    assert board.may_probe("genesys") is is_breaker


def test_nothing_is_probed_while_an_operator_says_no(board: Board) -> None:
    """Whatever the breaker would like to know."""
    board.put(hold(Scope.ALL), 0)
    board.put(hold(Scope.ALL, Opener.OPERATOR), 60)
    assert not board.may_probe("genesys")


@pytest.mark.parametrize("hours", [-1, 24])
def test_a_clock_that_is_set_holds_nobody_for_longer(board: Board, clock: Clock, hours: int) -> None:
    """A breaker's hold is counted from when it was first seen, and believed for a minute at most."""
    board.merge([hold(Scope.ALL)], set())
    clock.jump = hours * 3600
    board.merge([hold(Scope.ALL)], set())
    clock.seconds += 15
    assert board.may_probe("genesys")
    board.merge([replace(hold(Scope.WORKER), until=NOW + timedelta(days=1))], set())
    clock.seconds += 60
    assert all(board.seconds_left(each) == 0 for each in board.blocking("genesys", ours=True))


def test_the_later_version_is_true(board: Board) -> None:
    """What the ledger said before our own claim reached it does not undo the claim."""
    old = hold(Scope.ALL)
    board.merge([old], set())
    board.put(replace(old, turn=1), 30)
    board.merge([old], set())
    [standing] = board.blocking("genesys", ours=False)
    assert standing.hold.turn == 1
    board.merge([replace(old, turn=2)], set())
    [standing] = board.blocking("genesys", ours=False)
    assert standing.hold.turn == 2


def test_what_is_gone_elsewhere_is_gone_here_but_for_our_own_news(board: Board) -> None:
    """The ledger does not know yet of what we have just opened."""
    mine, theirs = hold(Scope.WORKER), hold(Scope.ALL, provider="finbourne")
    board.put(mine, 15)
    board.put(theirs, 15)
    assert board.merge([], {mine.key}) == {"finbourne"}
    assert board.get(mine.key)
    assert board.merge([], set()) == {"genesys"}
