"""How long what is kept, and who sees to it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from in_one_test import in_one_test
from pydantic import ValidationError

from worker.ledger import LedgerUnavailable
from worker.ledger.retention import REST_SECONDS, RETRY_SECONDS, Horizons, Tidying
from worker.settings.sections import StorageSettings

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def test_each_time_goes_where_it_says() -> None:
    """Three days that differ, three horizons; counts are kept for longer than anybody is told of them."""
    kept = StorageSettings(events_days=2, letters_days=3, audit_days=5)
    events, letters, audits, exposures = (NOW - timedelta(days=days) for days in (2, 3, 5, 8))
    assert Horizons.of(kept, NOW) == Horizons(events, letters, audits, exposures)


@in_one_test
@pytest.mark.parametrize(
    "name", ["events_days", "letters_days", "audit_days", "unproved_letters", "unproved_megabytes"]
)
@pytest.mark.parametrize("worth", [0, -1, float("nan"), float("inf"), 1e12])
def test_a_limit_has_two_ends(name: str, worth: float) -> None:
    """No limit is none, and no number crashes a process later."""
    with pytest.raises(ValidationError):
        StorageSettings(**{name: worth})


@pytest.mark.parametrize("name", ["events_days", "letters_days"])
def test_the_audit_outlives_what_it_tells_of(name: str) -> None:
    """Who did what is known for as long as what it was done to."""
    StorageSettings(**{name: 730.0, "audit_days": 730.0})
    with pytest.raises(ValidationError, match="audit_days must not be less"):
        StorageSettings(**{name: 730.1, "audit_days": 730.0})


class Pages:
    """A ledger of which so much is old, step by step; None: it is away."""

    def __init__(self, *steps: int | None) -> None:
        self.steps, self.asked, self.begun = list(steps), 0, 0

    def forget(self, horizons: Horizons) -> Iterator[int]:
        """Remove the next step's rows, as long as there are any."""
        assert horizons.events < datetime.now(UTC)
        self.begun += 1
        while step := self._next():
            yield step

    def _next(self) -> int:
        self.asked += 1
        if (step := self.steps.pop(0)) is None:
            raise LedgerUnavailable("ledger: locked")
        return step


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that stands."""

    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    made = Clock()
    monkeypatch.setattr("worker.ledger.retention.time", made)
    return made


def test_tidying_goes_on_until_nothing_is_old_and_then_rests(clock: Any) -> None:
    """A step a time, so that what is to be written waits for one at most."""
    ledger = Pages(500, 7, 0, 0)
    tidying = Tidying(ledger.forget, StorageSettings())
    for _ in range(10):
        tidying.step()
    assert (ledger.asked, ledger.begun) == (3, 1)
    clock.now += REST_SECONDS - 1
    tidying.step()
    assert ledger.asked == 3
    clock.now += 1
    tidying.step()
    assert ledger.asked == 4


def test_a_ledger_that_is_away_is_asked_again_a_minute_later(clock: Any) -> None:
    """Nobody who has something to write waits for that."""
    ledger = Pages(None, 0)
    tidying = Tidying(ledger.forget, StorageSettings())
    with pytest.raises(LedgerUnavailable):
        tidying.step()
    tidying.step()
    assert ledger.asked == 1
    clock.now += RETRY_SECONDS
    tidying.step()
    assert (ledger.asked, ledger.begun) == (2, 2)
