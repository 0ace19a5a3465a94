"""How far the samples are: what the ledger has told of each, and whether it is what the sample promises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tasks.outcome import State
from worker.ledger import CallRow, EventRow

if TYPE_CHECKING:
    from worker.demo.samples import Expected, Staged
    from worker.ledger import Ledger

OPEN: Final = frozenset({State.PLANNED, State.RETRYING, State.HELD, State.REPLAYED})
PAGE: Final = 1000  # changes asked for at once

News = EventRow | CallRow


class Feed:
    """The ledger's news, from now on."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._cursor = 0
        while self.news():
            pass  # what an earlier run left is no news

    def news(self) -> list[News]:
        """What is new or changed since the last time, in order. Raises LedgerUnavailable."""
        rows, self._cursor = self._ledger.changes_since(self._cursor, PAGE)
        return rows


@dataclass(slots=True)
class Progress:
    """What is known of the *staged* samples."""

    staged: Sequence[Staged]
    _taken_in: set[str] = field(default_factory=set)
    _lines: dict[str, dict[str, CallRow]] = field(init=False)  # event id → call or dead letter → its row

    def __post_init__(self) -> None:
        self._lines = {each.event_id: {} for each in self.staged}

    def learn(self, news: Iterable[News]) -> None:
        """Take in what the ledger tells."""
        for row in news:
            lines = self._lines.get(row.event_id or "")
            if lines is None:
                continue  # somebody else's event
            if isinstance(row, EventRow):
                self._taken_in.add(row.event_id)
            else:
                lines[row.call_id or row.dead_letter_id or ""] = row

    @property
    def rows(self) -> list[CallRow]:
        """Every line of the samples, as it stands."""
        return [row for each in self.staged for row in self.lines(each)]

    @property
    def open(self) -> list[Staged]:
        """The samples that are still under way."""
        return [each for each in self.staged if not self._is_over(each)]

    def lines(self, staged: Staged) -> list[CallRow]:
        """The lines of one sample."""
        return list(self._lines[staged.event_id].values())

    def broken_promises(self) -> list[str]:
        """A line for each sample of which the ledger tells something else than the sample promises."""
        found = ((each, self.lines(each)) for each in self.staged)
        return [
            f"{each.sample.title}: expected {_told(map(_promise, each.sample.expect))}; "
            f"the ledger shows {_told(map(_fact, rows)) or 'nothing'}"
            for each, rows in found
            if not _is_kept(each.sample.expect, rows)
        ]

    def _is_over(self, staged: Staged) -> bool:
        rows = self.lines(staged)
        refused = any(row.kind == "event" for row in rows)
        told = refused or staged.event_id in self._taken_in
        return told and len(rows) >= len(staged.sample.expect) and not any(row.state in OPEN for row in rows)


def _is_kept(promises: Sequence[Expected], rows: Sequence[CallRow]) -> bool:
    """Whether every row keeps one promise, and every promise is kept by one row."""
    left = list(rows)
    for promise in promises:
        keeper = next((row for row in left if _keeps(promise, row)), None)
        if keeper is None:
            return False
        left.remove(keeper)
    return not left


def _keeps(promise: Expected, row: CallRow) -> bool:
    return (
        (promise.provider, promise.outcome) == (row.provider, row.state)
        and promise.reason in {None, row.reason}
        and promise.attempts in {None, row.attempt}
        and (promise.seconds is None or (row.exposure_seconds or 0.0) >= promise.seconds)
    )


def _promise(promise: Expected) -> str:
    attempts = f" at attempt {promise.attempts}" if promise.attempts else ""
    seconds = f" after {promise.seconds:g} s" if promise.seconds else ""
    return f"{_words(promise.provider, promise.outcome, promise.reason)}{attempts}{seconds}"


def _fact(row: CallRow) -> str:
    attempts = f" at attempt {row.attempt}" if row.attempt else ""
    seconds = f" after {row.exposure_seconds:.1f} s" if row.exposure_seconds is not None else ""
    return f"{_words(row.provider, row.state, row.reason)}{attempts}{seconds}"


def _words(provider: str | None, state: State, reason: str | None) -> str:
    return " ".join(word for word in (provider, state, reason) if word)


def _told(lines: Iterable[str]) -> str:
    return ", ".join(sorted(lines))
