"""How far the samples are, as one table that fits the terminal: a row for each event, a column for each provider."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from rich.table import Table
from rich.text import Text

from tasks.outcome import State
from worker.demo.progress import Change
from worker.ledger import CallRow
from worker.operations.text import plain

OTHERS: Final = "an event of yours"  # what is no sample
_WORDS: Final[Mapping[State, str]] = {State.ALREADY_REVOKED: "was dead", State.NO_SESSION_KNOWN: "no session"}


@dataclass(slots=True)
class _Line:
    title: str
    person: str = ""
    states: dict[str, State] = field(
        default_factory=dict
    )  # by provider; "": of the event as a whole, or at none of ours


class LiveTable:
    """What is known of each event; *styles* are those of the states, any other one is good."""

    def __init__(self, styles: Mapping[State, str]) -> None:
        self._styles = styles
        self._lines: dict[str, _Line] = {}
        self._providers: list[str] = []

    def begin(self, titles: Mapping[str, str], providers: Iterable[str]) -> None:
        """Have a row for each sample (event id → its title), and a column for each of *providers*."""
        self._providers = sorted(providers)
        self._lines = {event_id: _Line(title) for event_id, title in titles.items()}

    def learn(self, changes: Iterable[Change]) -> None:
        """Take in rows of the ledger."""
        for row in changes:
            line = self._lines.setdefault(row.event_id or "", _Line(OTHERS))
            line.person = plain(row.subject or line.person)
            if isinstance(row, CallRow):
                line.states[row.provider if row.provider in self._providers else ""] = row.state

    def drawn(self, height: int, foot: str) -> Table:
        """It with the last rows that *height* has room for, and *foot* below."""
        table = Table(box=None, padding=(0, 1, 0, 0), expand=True, caption=foot, caption_justify="left")
        table.add_column("PERSON", no_wrap=True, max_width=15)
        for name in self._providers:
            table.add_column(plain(name).upper(), no_wrap=True, width=max(10, len(name)))
        table.add_column("SAMPLE", no_wrap=True, ratio=1, overflow="ellipsis")
        for line in list(self._lines.values())[-max(1, height - 4) :]:
            table.add_row(line.person, *(self._cell(line, name) for name in self._providers), self._title(line))
        return table

    def _cell(self, line: _Line, name: str) -> Text:
        state = line.states.get(name)
        if state is None:
            return Text("")
        return Text(_WORDS.get(state, state.value), style=self._styles.get(state, "green"))

    def _title(self, line: _Line) -> Text:
        """The title, behind what became of the event as a whole."""
        return Text.assemble(self._cell(line, ""), " " if "" in line.states else "", plain(line.title))
