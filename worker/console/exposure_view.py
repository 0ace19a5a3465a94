"""Exposure on the first page: the figures now and over a period, and their picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from worker.console.desk import Desk
from worker.console.plot import Picture, Reading, picture
from worker.console.shared import Shared
from worker.operations.exposure import Exposure, Figures, Period, Point, course, exposure

INTERVAL: Final = 5.0  # seconds for which all open pages share one look
PERIODS: Final = (Period.HOUR, Period.DAY, Period.WEEK)


@dataclass(frozen=True, slots=True)
class ExposureView:
    """What the first page shows of exposure over *period*."""

    period: Period
    found: Exposure
    readings: Sequence[Reading]
    picture: Picture

    @property
    def now(self) -> Figures:
        """Of what is exposed now, everywhere."""
        return self.found.overall[Period.NOW]

    @property
    def over(self) -> Figures:
        """Of what was settled over the period, everywhere."""
        return self.found.overall[self.period]


def views(desk: Desk) -> Mapping[Period, Shared[ExposureView]]:
    """Return one look for each period, shared by all who ask."""
    return {period: _shared(desk, period) for period in PERIODS}


def _shared(desk: Desk, period: Period) -> Shared[ExposureView]:
    return Shared(INTERVAL, lambda: desk.ask(_look, desk, period))


def _look(desk: Desk, period: Period) -> ExposureView:
    found, readings = exposure(desk.settings, desk.ledger), [_reading(each) for each in course(desk.ledger, period)]
    return ExposureView(period, found, readings, picture(readings, desk.settings.exposure.within))


def _reading(point: Point) -> Reading:
    return Reading(point.begins_at, point.spread.total, *(point.spread.percentile(rank) for rank in (50, 95, 99)))
