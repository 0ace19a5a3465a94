"""Plots as SVG, written by hand: bars for the rows, lines for the curves. They read well on light and on dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.figures import label, short
from benchmarks.results import Result

_OURS, _THEIRS, _INK = "#2f81f7", "#8b949e", "#7d8590"
_WIDTH: Final = 760
_LABELS: Final = 250  # the part of the width that names the bars
_BAR: Final = 22
_PLOT: Final = (70, 50, 660, 250)  # left, top, width and height of a curve's frame


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, with the range of its rounds where it ran in several."""

    label: str
    value: float
    ours: bool
    spread: tuple[float, float] | None = None


def bars_of(results: Sequence[Result], figure: str) -> list[Bar]:
    """The rows that have *figure*, the largest first."""
    made = [
        Bar(label(each), value, each.row.startswith("ours"), each.spread if figure == "calls_per_second" else None)
        for each in results
        if (value := getattr(each, figure)) is not None
    ]
    return sorted(made, key=lambda bar: -bar.value)


def bar_chart(title: str, bars: Sequence[Bar]) -> str:
    """Horizontal bars under *title*; ours in another colour."""
    most = max((bar.spread[1] if bar.spread else bar.value for bar in bars), default=1.0) or 1.0
    scale = (_WIDTH - _LABELS - 80) / most
    drawn = [_bar(bar, 50 + n * _BAR, scale) for n, bar in enumerate(bars)]
    return _svg(title, 60 + len(bars) * _BAR, drawn)


def line_chart(title: str, points: Sequence[tuple[float, float]]) -> str:
    """A curve under *title* through *points*, which stand evenly apart: their x spans orders of magnitude."""
    left, top, width, height = _PLOT
    most = max((y for _, y in points), default=1.0) or 1.0
    step = width / max(1, len(points))
    places = [(left + (n + 0.5) * step, top + height - y / most * height * 0.9) for n, (_, y) in enumerate(points)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    drawn = [
        f'<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="{_INK}"/>',
        f'<polyline points="{path}" fill="none" stroke="{_OURS}" stroke-width="2"/>',
    ]
    for (x, y), place in zip(points, places, strict=True):
        drawn += _point(place, short(y), f"{x:g}", top + height)
    return _svg(title, top + height + 40, drawn)


def _bar(bar: Bar, y: int, scale: float) -> str:
    end = _LABELS + bar.value * scale
    colour = _OURS if bar.ours else _THEIRS
    parts = [
        _text(_LABELS - 8, y + 12, bar.label, anchor="end"),
        f'<rect x="{_LABELS}" y="{y}" width="{bar.value * scale:.1f}" height="{_BAR - 7}" fill="{colour}"/>',
    ]
    if bar.spread:
        least, most = (_LABELS + each * scale for each in bar.spread)
        parts.append(f'<path d="M{least:.1f} {y + 7.5}H{most:.1f}" stroke="{_INK}" stroke-width="3"/>')
        end = max(end, most)
    parts.append(_text(end + 6, y + 12, short(bar.value)))
    return "".join(parts)


def _point(place: tuple[float, float], above: str, below: str, floor: int) -> list[str]:
    x, y = place
    return [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{_OURS}"/>',
        _text(x, y - 9, above, anchor="middle"),
        _text(x, floor + 18, below, anchor="middle"),
    ]


def _text(x: float, y: float, words: str, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{_INK}">{escape(words)}</text>'
    )


def _svg(title: str, height: int, drawn: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">'
    return "\n".join([head, _text(10, 26, title, size=16), *drawn, "</svg>", ""])
