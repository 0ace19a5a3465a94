"""What the person who runs it sees: on a terminal one table of the samples, elsewhere a line for each step."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Final, Self

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tasks.outcome import State
from worker.demo.live_table import LiveTable
from worker.demo.progress import Change, Progress, Summary
from worker.ledger import CallRow, EventRow
from worker.operations.text import plain

NARROW: Final = 120  # columns, where no terminal says otherwise
_STYLES: Final[Mapping[State, str]] = {
    State.PLANNED: "dim",
    State.RETRYING: "yellow",
    State.HELD: "yellow",
    State.DEAD: "red",
    State.COVERED: "cyan",
    State.EXPIRED: "cyan",
    State.NO_SESSION_KNOWN: "cyan",
    State.SUPERSEDED: "cyan",
    State.ENABLED: "cyan",
}
_AT_REST: Final = frozenset({State.PLANNED, State.NO_SESSION_KNOWN})


class View:
    """On stderr: a table while the samples are under way, where that is a terminal; lines before, after and elsewhere.

    Use it as a context manager. No line on a terminal is longer than that is wide.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        if not self._console.is_terminal:
            self._console.width = NARROW
        self._titles: dict[str, str] = {}
        self._began = time.monotonic()
        self._table = LiveTable(_STYLES)
        self._live = Live(console=self._console, refresh_per_second=4)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def note(self, text: str) -> None:
        """Print *text*, line by line."""
        for line in text.splitlines():
            self._console.print(Text(plain(line)), soft_wrap=True)

    def begin(self, titles: Mapping[str, str], providers: Iterable[str]) -> None:
        """Start the clock; *titles*: event id → title of its sample; *providers* are configured."""
        self._titles = dict(titles)
        self._began = time.monotonic()
        self._table.begin(titles, providers)
        if self._console.is_terminal:
            self._live.start()

    def show(self, changes: Sequence[Change], progress: Progress) -> None:
        """Show what is new, and how far things are."""
        if self._live.is_started:
            self._table.learn(changes)
            self._live.update(self._table.drawn(self._console.height, _how_far(progress)))
        else:
            self._show_lines(changes)

    def _show_lines(self, changes: Sequence[Change]) -> None:
        calls = [row for row in changes if isinstance(row, CallRow)]
        events = {row.event_id: row for row in changes if isinstance(row, EventRow)}
        for event in events.values():
            self._print(self._event(event))
            self._print(_plan([row for row in calls if row.event_id == event.event_id]))
        for row in calls:
            is_as_planned = row.kind == "call" and row.state in _AT_REST  # nothing has happened to it yet, or ever will
            if row.event_id not in events or not is_as_planned:
                self._print(self._call(row))

    def sum_up(self, summary: Summary, *, as_json: bool) -> None:
        """Print the figures on stdout, as a table or as one JSON document. The live table stays as it is."""
        self._live.stop()
        if as_json:
            click.echo(json.dumps(asdict(summary)))
            return
        table = Table.grid(padding=(0, 3, 0, 0))
        for figure in _figures(summary):
            table.add_row(*figure)
        Console(highlight=False, markup=False, emoji=False).print(table)

    def _print(self, line: Text) -> None:
        """On a terminal the end of a long line is left out; a file has room."""
        if self._console.is_terminal:
            self._console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
        else:
            self._console.print(line, soft_wrap=True)

    def _event(self, row: EventRow) -> Text:
        title = self._titles.get(row.event_id, "")
        return Text.assemble(self._clock(), (f"{row.event_type}  {plain(row.subject)}", "bold"), f"  {title}")

    def _call(self, row: CallRow) -> Text:
        return Text.assemble(
            self._clock(),
            f"  {plain(row.provider or '-'):<11} {_operation(row):<16}  {plain(row.subject or '-'):<15}  ",
            (f"{row.state:<16}", _STYLES.get(row.state, "green")),
            f"  {_remark(row)}{self._refused_event(row)}",
        )

    def _refused_event(self, row: CallRow) -> str:
        """Which one: a refused event has no line of its own."""
        return f": {self._titles.get(row.event_id or '', 'not one of the samples')}" if row.kind == "event" else ""

    def _clock(self) -> tuple[str, str]:
        return f"{time.monotonic() - self._began:6.1f} s  ", "dim"


def _how_far(progress: Progress) -> str:
    done, samples = len(progress.samples) - len(progress.open), len(progress.samples)
    waiting = sum(row.state in (State.RETRYING, State.HELD) for row in progress.rows)
    return f"{done} of {samples} events settled or dead, {waiting} calls waiting"


def _figures(summary: Summary) -> Sequence[tuple[str, str]]:
    p50, p95, p99 = (summary.exposure_seconds[name] for name in ("p50", "p95", "p99"))
    exposure = f"p50 {p50} s, p95 {p95} s, p99 {p99} s" if p50 is not None else "nothing was revoked"
    healed = f"{summary.healed_by_retry}, the slowest after {summary.healed_seconds} s"
    return [
        ("events", str(summary.events)),
        *((f"  {outcome}", str(number)) for outcome, number in summary.calls.items()),
        ("dead letters", str(sum(summary.dead_letters.values()))),
        *((f"  {reason}", str(number)) for reason, number in summary.dead_letters.items()),
        ("time to revoke", exposure),
        *([("  left out: retried", healed)] if summary.healed_by_retry else []),
        ("lost", str(summary.lost)),
    ]


def _plan(rows: Sequence[CallRow]) -> Text:
    """What becomes of an event: its calls, and where none is needed."""
    calls = [f"{plain(row.provider or '')} {_operation(row)}" for row in rows if _is_call(row)]
    idle: dict[str, list[str]] = {}
    for row in rows:
        if row.kind == "call" and not _is_call(row):
            idle.setdefault(row.reason or row.state, []).append(plain(row.provider or ""))
    remarks = "".join(f" · {state}: {', '.join(providers)}" for state, providers in idle.items())
    return Text(f"{'':<11}→ {', '.join(calls) or 'no call'}{remarks}")


def _operation(row: CallRow) -> str:
    return (row.operation or "-").rpartition(".")[2]


def _is_call(row: CallRow) -> bool:
    """Whether a call was published for *row*; one that awaits the call that covers it is none yet."""
    awaits = row.state is State.PLANNED and row.reason is not None
    return row.operation is not None and row.state is not State.COVERED and not awaits


def _remark(row: CallRow) -> str:
    """What an operator would ask next: why, when again, how long did it take."""
    parts = [row.reason or ""]
    if row.next_attempt_at and row.at and row.state in (State.RETRYING, State.HELD):
        parts.append(f"again in {(row.next_attempt_at - row.at).total_seconds():.0f} s")
    if row.exposure_seconds is not None and row.state is not State.EXPIRED:
        parts.append(f"{row.exposure_seconds:.2f} s to revoke")
    if row.attempt > 1:
        parts.append(f"attempt {row.attempt}")
    return ", ".join(part for part in parts if part)
