"""A picture of exposure over time: the geometry of an inline SVG; its template draws it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

WIDTH, HEIGHT = 520, 230  # of the picture, in its own units
LEFT, RIGHT, TOP, BOTTOM = 58, 474, 12, 198  # of what the curves have
LABEL: Final = 17  # the height of a curve's name
RANKS: Final = ("p50", "p95", "p99")
_TICKS: Final = {
    0.1: "0.1 s",
    1: "1 s",
    10: "10 s",
    60: "1 min",
    600: "10 min",
    3600: "1 h",
    36_000: "10 h",
    259_200: "3 d",
}
_LEAST: Final = 0.1  # seconds: what is quicker is drawn there
_TIMES: Final = 4  # marks of the time below the picture


@dataclass(frozen=True, slots=True)
class Reading:
    """How long calls were exposed that were settled from *at* on, in seconds; None where none were."""

    at: datetime
    calls: int
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A text at a place, and where its line is."""

    place: float
    text: str


@dataclass(frozen=True, slots=True)
class Curve:
    """The line of one rank, in pieces where there is a gap, and where its name stands."""

    rank: str
    path: str
    end: Mark | None


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn."""

    curves: Sequence[Curve]
    seconds: Sequence[Mark]  # by height
    times: Sequence[Mark]  # from left to right
    within: float | None  # the height of the objective
    summary: str  # for whoever does not see it


def picture(readings: Sequence[Reading], within: float | None = None) -> Picture:
    """Return the picture of *readings*, in the order of time; *within* is the objective in seconds."""
    most = max([10.0, within or 0.0, *(each.p99 or 0.0 for each in readings)])
    top = next((tick for tick in _TICKS if tick >= most), most)
    seconds = [Mark(_height(tick, top), text) for tick, text in _TICKS.items() if tick <= top]
    places = [LEFT + (RIGHT - LEFT) * number / max(1, len(readings) - 1) for number in range(len(readings))]
    curves = _apart([_curve(rank, readings, places, top) for rank in RANKS])
    return Picture(curves, seconds, _times(readings, places), within and _height(within, top), _in_words(readings))


def _height(seconds: float, top: float) -> float:
    """Where *seconds* are: a step of ten is as high everywhere."""
    share = math.log(max(seconds, _LEAST) / _LEAST) / math.log(top / _LEAST)
    return round(BOTTOM - share * (BOTTOM - TOP), 1)


def _curve(rank: str, readings: Sequence[Reading], places: Sequence[float], top: float) -> Curve:
    known = [(place, value) for place, each in zip(places, readings, strict=True) for value in [getattr(each, rank)]]
    path = " ".join(_pieces(known, top))
    last = next((value for _, value in reversed(known) if value is not None), None)
    return Curve(rank, path, None if last is None else Mark(_height(last, top), rank))


def _apart(curves: Sequence[Curve]) -> list[Curve]:
    """*curves*, from the lowest one upwards, with their names one above the other where the lines end together."""
    places, below = [], float(HEIGHT)
    for each in curves:
        if each.end is not None:
            below = min(below - LABEL, each.end.place)
            places.append(below)
    lowest = [max(place, TOP + LABEL * above) for above, place in enumerate(reversed(places))]
    return [each if each.end is None else replace(each, end=replace(each.end, place=lowest.pop())) for each in curves]


def _pieces(known: Sequence[tuple[float, float | None]], top: float) -> Iterator[str]:
    """The steps of a path; a point alone is drawn as a dot: a line of no length with round ends."""
    is_drawing = False
    for place, value in known:
        if value is not None:
            at = f"{place:.1f} {_height(value, top)}"
            yield f"L{at}" if is_drawing else f"M{at}L{at}"
        is_drawing = value is not None


def _times(readings: Sequence[Reading], places: Sequence[float]) -> list[Mark]:
    if not readings:
        return []
    is_long = (readings[-1].at - readings[0].at).days >= 2  # noqa: PLR2004 - then the hour says little
    chosen = sorted({round(number * (len(readings) - 1) / (_TIMES - 1)) for number in range(_TIMES)})
    return [Mark(places[each], f"{readings[each].at:{'%d %b' if is_long else '%H:%M'}}") for each in chosen]


def _in_words(readings: Sequence[Reading]) -> str:
    last = next((each for each in reversed(readings) if each.p50 is not None), None)
    if last is None:
        return "Nothing was settled in this time."
    figures = ", ".join(f"{rank} {getattr(last, rank):g} s" for rank in RANKS if getattr(last, rank) is not None)
    return f"Of what was settled last: {figures}. The table below has every figure."
