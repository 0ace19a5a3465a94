"""Exposure: how long tokens live after the event that ends them, by provider and type, and what budget that spends."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from worker.ledger import Ledger
from worker.ledger.exposure import Exposed, Settled
from worker.settings import Settings
from worker.settings.exposure import ExposureSettings


class Period(StrEnum):
    """Over which time. NOW tells of what is exposed, the others of what was settled."""

    NOW = "now"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


_SPANS: Final = {Period.HOUR: timedelta(hours=1), Period.DAY: timedelta(days=1), Period.WEEK: timedelta(days=7)}
# Of the points of a picture: twelve to fifty, whose width is a multiple of the slots that are counted.
_WIDTHS: Final = {Period.HOUR: timedelta(minutes=5), Period.DAY: timedelta(minutes=30), Period.WEEK: timedelta(hours=4)}
Key = tuple[str | None, str | None]  # provider, None: the whole event; event type
_OVERALL: Final[Key] = (None, None)


@dataclass(frozen=True, slots=True)
class Spread:
    """How long calls were exposed: how many of them for at most so many seconds, and longer than the bound below."""

    calls: Mapping[float, int]

    @property
    def total(self) -> int:
        """How many calls."""
        return sum(self.calls.values())

    def percentile(self, rank: int) -> float | None:
        """The bound that *rank* of a hundred calls did not exceed (nearest rank); None where there are none.

        The true figure is at most that, and more than the bound below, which is at most a quarter less.
        """
        left = max(1, math.ceil(self.total * rank / 100))
        for at_most in sorted(self.calls):
            left -= self.calls[at_most]
            if left <= 0:
                return at_most
        return None

    def later_than(self, within: float) -> int:
        """How many were exposed for longer than *within*, which is a bound."""
        return sum(number for at_most, number in self.calls.items() if at_most > within)


@dataclass(frozen=True, slots=True)
class Figures:
    """The exposure at one provider (None: events that wait as a whole), by one type of event, over one period."""

    provider: str | None
    event_type: str | None
    period: Period
    spread: Spread
    slo: ExposureSettings
    overdue: int = 0  # of what is still exposed: how much became late in the period
    oldest_at: datetime | None = None  # the time of the oldest event of what is exposed now

    @property
    def late(self) -> int:
        """How many calls were exposed for longer than the objective allows; or are, of what is exposed now."""
        return self.spread.later_than(self.slo.within)

    @property
    def burn(self) -> float | None:
        """How fast the error budget is spent: at 1 just as fast as it may be. None now, and where nothing was due.

        What is overdue counts as well: a provider that settles nothing has no late calls.
        """
        due = self.spread.total + self.overdue
        if self.period is Period.NOW or not due:
            return None
        return (self.late + self.overdue) / due / (1 - self.slo.objective)


@dataclass(frozen=True, slots=True)
class Exposure:
    """The exposure at one moment: by provider, type and period, and of all together by period."""

    at: datetime
    slo: ExposureSettings
    figures: Sequence[Figures]
    overall: Mapping[Period, Figures]


@dataclass(frozen=True, slots=True)
class Point:
    """What was settled from *begins_at* on, as long as it is to the next point."""

    begins_at: datetime
    spread: Spread


@dataclass(slots=True)
class _Tally:
    spreads: dict[Period, Counter[float]] = field(default_factory=lambda: defaultdict(Counter))
    overdue: Counter[Period] = field(default_factory=Counter)
    oldest_at: datetime | None = None

    def settled(self, row: Settled) -> None:
        for period, calls in zip(_SPANS, row.calls, strict=True):
            self.spreads[period][row.at_most] += calls

    def exposed(self, row: Exposed) -> None:
        self.spreads[Period.NOW][row.at_most] += row.calls
        self.oldest_at = min(row.oldest_at, self.oldest_at or row.oldest_at)
        self.overdue.update(dict(zip(_SPANS, row.overdue, strict=True)))

    def figures(self, key: Key, slo: ExposureSettings) -> Iterator[Figures]:
        for period in Period:
            oldest_at = self.oldest_at if period is Period.NOW else None
            yield Figures(*key, period, Spread(self.spreads[period]), slo, self.overdue[period], oldest_at)


def exposure(settings: Settings, ledger: Ledger) -> Exposure:
    """The exposure now. Raises LedgerUnavailable."""
    now, slo = datetime.now(UTC), settings.exposure
    tallies = _tallied(*ledger.exposure(now, slo.within, list(_SPANS.values())))
    overall = tallies.pop(_OVERALL)
    by_name = sorted(tallies.items(), key=lambda each: (each[0][0] is None, *map(str, each[0])))
    found = [figures for key, tally in by_name for figures in tally.figures(key, slo)]
    return Exposure(now, slo, found, {each.period: each for each in overall.figures(_OVERALL, slo)})


def _tallied(settled: Sequence[Settled], exposed: Sequence[Exposed]) -> dict[Key, _Tally]:
    tallies = defaultdict[Key, _Tally](_Tally, {_OVERALL: _Tally()})
    for row in settled:
        for key in ((row.provider, row.event_type), _OVERALL):
            tallies[key].settled(row)
    for waiting in exposed:
        for key in ((waiting.provider, waiting.event_type), _OVERALL):
            tallies[key].exposed(waiting)
    return tallies


def course(ledger: Ledger, period: Period, provider: str | None = None, event_type: str | None = None) -> list[Point]:
    """What was settled over *period*, point by point, those without a call included; of everybody, or of one alone.

    *period* is not NOW. Raises LedgerUnavailable.
    """
    now, width = datetime.now(UTC), _WIDTHS[period]
    first = _begin(now - _SPANS[period], width)
    points = defaultdict[datetime, dict[float, int]](dict)
    of = {"provider": provider, "event_type": event_type}
    only = {name: value for name, value in of.items() if value is not None}
    for slot in ledger.exposure_course(first, now, width, only):
        points[slot.begins_at][slot.at_most] = slot.calls
    count = (now - first) // width + 1
    return [Point(at, Spread(points.get(at, {}))) for at in (first + width * number for number in range(count))]


def _begin(at: datetime, width: timedelta) -> datetime:
    """Where the slot of *width* begins that *at* is in."""
    seconds = int(width.total_seconds())
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, UTC)
