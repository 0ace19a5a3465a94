"""Exposure: its bounds, its percentiles, its objective, and the words for it."""

import itertools
import math
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.outcome import State
from tasks.records import CallOutcome
from worker.calls import exposure as measuring
from worker.ledger.exposure_counts import BOUNDS
from worker.observability import metrics
from worker.operations.exposure import Figures, Period, Spread
from worker.operations.text import seconds_in_words
from worker.settings.exposure import WITHIN, ExposureSettings

SECONDS = [ms / 1000 for ms in BOUNDS]
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SLO = ExposureSettings(within=60.0, objective=0.99)


def spread(exposures: list[float]) -> Spread:
    """As the ledger counts them."""
    return Spread(Counter(next(bound for bound in SECONDS if bound >= seconds) for seconds in exposures))


def figures(exposures: list[float], overdue: int = 0, period: Period = Period.HOUR) -> Figures:
    """Of one provider."""
    return Figures("genesys", "user.disabled", period, spread(exposures), SLO, overdue)


def test_each_bound_is_at_most_a_third_above_the_one_below() -> None:
    """From a hundredth of a second to a thousand days, so a percentile is as near to the truth."""
    assert (BOUNDS[0], BOUNDS[-1]) == (10, 1000 * 86_400_000)
    assert all(below < above <= below * 4 / 3 for below, above in itertools.pairwise(BOUNDS))


def test_whatever_the_objective_may_be_is_a_bound_of_ledger_and_metric() -> None:
    """So how many are late is known exactly, whenever the setting changes."""
    assert set(WITHIN) <= set(SECONDS)
    assert tuple(WITHIN) == metrics.EXPOSURE.buckets


@pytest.mark.parametrize("ms", BOUNDS)
def test_a_bound_counts_what_took_exactly_so_long(ms: int) -> None:
    """Seconds and milliseconds convert without a remainder, to and fro."""
    assert ms / 1000 * 1000 == ms


@given(st.lists(st.floats(0, SECONDS[-1]), min_size=1), st.sampled_from([1, 50, 95, 99, 100]))
def test_a_percentile_is_the_bound_of_the_true_one(exposures: list[float], rank: int) -> None:
    """By nearest rank; it is never less than the truth."""
    told = spread(exposures).percentile(rank)
    true = sorted(exposures)[math.ceil(len(exposures) * rank / 100) - 1]
    below = max((bound for bound in (0.0, *SECONDS) if told and bound < told), default=0.0)
    assert told is not None
    assert below < true <= told or true == below == 0.0


def test_of_nothing_there_is_no_percentile() -> None:
    """Nor a burn: nobody knows."""
    assert [Spread(empty).percentile(50) for empty in ({}, {1.0: 0})] == [None, None]
    assert figures([]).burn is None


@pytest.mark.parametrize(
    ("exposures", "overdue", "burn"),
    [
        ([1.0] * 100, 0, 0.0),
        ([60.0] * 100, 0, 0.0),
        ([1.0] * 99 + [61.0], 0, 1.0),
        ([1.0] * 99, 1, 1.0),
        ([61.0], 1, 100.0),
        ([], 3, 100.0),
    ],
)
def test_the_budget_burns_by_what_is_late_and_by_what_is_overdue(
    exposures: list[float], overdue: int, burn: float
) -> None:
    """At 1 as fast as it may; a provider that settles nothing burns all of it."""
    assert figures(exposures, overdue).burn == pytest.approx(burn)


def test_what_is_exposed_now_burns_nothing_by_itself() -> None:
    """It has no time over which it could."""
    now = figures([61.0, 1.0], period=Period.NOW)
    assert (now.late, now.burn) == (1, None)


@pytest.mark.parametrize("fault", [{"within": 61}, {"within": 0}, {"objective": 0}, {"objective": 1}])
def test_an_objective_that_cannot_be_counted_is_refused(fault: dict[str, float]) -> None:
    """By its name, with what it may be."""
    with pytest.raises(ValidationError, match=r"within\n.*must be one of 0\.1, .*259200|objective\n.*than"):
        ExposureSettings(**fault)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.012, "12ms"),
        (1.25, "1.25s"),
        (60.0, "1m00s"),
        (150.0, "2m30s"),
        (3600.0, "1h00m"),
        (108_000.0, "1d06h"),
    ],
)
def test_a_bound_is_told_as_it_is(seconds: float | None, words: str) -> None:
    """Short, and not rounded."""
    assert seconds_in_words(seconds) == words


def test_every_bound_has_words_of_its_own() -> None:
    """And eight characters are room for it."""
    words = [seconds_in_words(each) for each in SECONDS]
    assert len(set(words)) == len(words)
    assert max(map(len, words)) <= 8


@pytest.mark.parametrize(("seconds", "late"), [(60.0, 0), (60.001, 1), (-1.0, 0)])
def test_the_metric_counts_as_late_what_is_later_than_the_objective(
    monkeypatch: pytest.MonkeyPatch, seconds: float, late: int
) -> None:
    """And shows a 0 before the first, so that Prometheus sees it rise."""
    counter = metrics.Counter("late", "Late.", "provider", "event_type", of=[])
    monkeypatch.setattr(metrics, "EXPOSURE_LATE", counter)
    monkeypatch.setattr(metrics, "EXPOSURE", metrics.Histogram("all", "All.", *counter.labels, of=[], buckets=WITHIN))
    measuring.observe(settled(seconds), SLO.within)
    assert list(counter.values().values()) == [late]


def settled(seconds: float) -> CallOutcome:
    """A call that was settled so long after its event."""
    return CallOutcome(
        call_id="c",
        source="s",
        event_id="e",
        event_type="user.disabled",
        provider="genesys",
        operation="genesys.delete_token",
        subject="al…",
        occurred_at=NOON,
        at=NOON + timedelta(seconds=seconds),
        state=State.ACCEPTED,
        attempt=1,
        replays=0,
    )
