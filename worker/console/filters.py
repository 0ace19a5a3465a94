"""Which dead letters a page is about: read from its address, and written into addresses and commands."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self
from urllib.parse import urlencode

from aiohttp import web

from tasks.events import EVENT_TYPES
from worker.console.forms import Fields
from worker.console.names import Names
from worker.ledger import DeadLetterFilter, DeadLetterState
from worker.operations import parsing
from worker.operations.dead_letters import OPEN, Selection

MAX_IDS: Final = 500  # rows marked at once
Pairs = list[tuple[str, str]]


def _any(value: str) -> str:
    return value


def _event_type(value: str) -> str:
    if value not in EVENT_TYPES:
        raise ValueError(f"must be one of {', '.join(EVENT_TYPES)}")
    return value


# The name in an address → how it is read, and the option of the command line.
_FIELDS: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "provider": (_any, "--provider"),
    "event_type": (_event_type, "--event-type"),
    "reason": (_any, "--died-of"),
    "cause": (_any, "--cause"),
    "since": (parsing.moment, "--since"),
    "until": (parsing.moment, "--until"),
    "older_than": (parsing.span, "--older-than"),
}


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """The filter of a page: *given* as it stands in the address, *person* a name in clear, *ids* the marked ones."""

    given: Mapping[str, str]
    person: str | None = None
    states: tuple[DeadLetterState, ...] = OPEN
    ids: tuple[str, ...] = ()

    @classmethod
    def read(cls, fields: Fields, names: Names) -> Self:
        """Return that of an address or a form. Raises HTTPBadRequest, which names the field that cannot be read."""
        given = {name: value for name in _FIELDS if (value := str(fields.get(name, "")).strip())}
        for name, value in given.items():
            _checked(name, value)
        sealed, typed = str(fields.get("person", "")), str(fields.get("subject", "")).strip()
        person = typed or (names.opened(sealed) if sealed else None)
        if sealed and person is None:
            raise web.HTTPBadRequest(text="person: not made by this installation; look the person up again")
        states = tuple(_state(str(each)) for each in fields.getall("state", []) if each) or OPEN
        return cls(given, person, states, tuple(str(each) for each in fields.getall("id", [])[:MAX_IDS]))

    @property
    def selection(self) -> Selection:
        """What it asks the ledger."""
        read = {name: _checked(name, value) for name, value in self.given.items()}
        return Selection(DeadLetterFilter(**read, ids=self.ids), self.person)

    @property
    def is_narrow(self) -> bool:
        """Whether anything narrows it down."""
        return bool(self.given or self.person or self.ids)

    def pairs(self, names: Names) -> Pairs:
        """It as fields of a form or of an address, the marked ones left out."""
        person = [("person", names.sealed(self.person))] if self.person else []
        states = [] if self.states == OPEN else [("state", state.value) for state in self.states]
        return [*self.given.items(), *person, *states]

    def address(self, names: Names, path: str = "/letters", **more: str) -> str:
        """It as an address."""
        query = urlencode([*self.pairs(names), *more.items()])
        return f"{path}?{query}" if query else path

    def marked(self, ids: Sequence[str]) -> Self:
        """Return that of the marked *ids* alone."""
        return replace(self, ids=tuple(ids))

    def words(self, *, changing: bool) -> list[str]:
        """It as words of the command line: of a command that changes something, or that lists."""
        words = [word for name, value in self.given.items() for word in (_FIELDS[name][1], value)]
        words += ["--subject", self.person] if self.person else []
        words += [*self.ids] if self.ids else []
        if changing:
            return words or ["--all"]
        return [*words, *_state_words(self.states)]


def _state_words(states: Sequence[DeadLetterState]) -> Iterator[str]:
    if tuple(states) != OPEN:
        for state in states:
            yield from ("--state", state.value)


def _checked(name: str, value: str) -> Any:  # noqa: ANN401 - as the field is read
    try:
        return _FIELDS[name][0](value)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{name}: {error}") from None


def _state(value: str) -> DeadLetterState:
    try:
        return DeadLetterState(value)
    except ValueError:
        raise web.HTTPBadRequest(text=f"state: must be one of {', '.join(DeadLetterState)}") from None
