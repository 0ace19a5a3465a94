"""The questions of `revoker init`, for a person at a terminal: what does not fit is said, and asked again."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import click

from tasks.events import EVENT_TYPES
from tasks.providers import KINDS
from worker.cli.output import note
from worker.operations.setup.answers import Document, faults_of, holds_secret, place
from worker.operations.setup.questions import Question, questions_of

_BROKER: Final = (
    "Broker: amqps://HOST/VHOST (each process gets a user of its own), amqps://USER@HOST/VHOST (all are this user), "
    "or embedded:///FILE"
)
_LEDGER: Final = "Ledger: postgresql+psycopg://USER@HOST/DATABASE, or sqlite:///FILE"
_TYPES: Final = ", ".join(EVENT_TYPES)


def ask(there: Mapping[str, Any] | None) -> Document:
    """Return the answers; beside the settings that are *there* providers and sources alone are asked for."""
    answers: Document = {}
    if there is None:
        answers |= _until_fit({}, lambda: _server("broker", _BROKER))
        answers |= _until_fit({}, lambda: _server("ledger", _LEDGER))
    known = dict(there or {})
    answers["providers"] = _several("provider", "providers", known, _provider)
    known["providers"] = {**known.get("providers", {}), **answers["providers"]}
    answers["sources"] = _several("source", "sources", known, _source)
    return {name: value for name, value in answers.items() if value}


def _until_fit(there: Mapping[str, Any], one: Callable[[], Document]) -> Document:
    while faults := faults_of(answer := one(), there):
        note(*faults)
    return answer


def _several(what: str, table: str, there: Mapping[str, Any], one: Callable[[], Document]) -> Document:
    found: Document = {}
    while name := _prompt(f"Name of a {what} (none: go on)"):
        if name in there.get(table, {}) or name in found:
            note(f"there is a {what} {name} already")
        else:
            found |= _until_fit(there, partial(_named, table, name, one))[table]
    return found


def _named(table: str, name: str, one: Callable[[], Document]) -> Document:
    return {table: {name: one()}}


def _server(name: str, text: str) -> Document:
    url = _prompt(text)
    while holds_secret([f"{name}_url"], url):
        note("leave the password out: it is asked for next, and not shown")
        url = _prompt(text)
    password = _prompt(f"Password of this user of the {name} (none: no password)", hidden=True) if "@" in url else ""
    return {f"{name}_url": url, **({f"{name}_password": password} if password else {})}


def _provider() -> Document:
    kind = _prompt("kind", choices=tuple(KINDS), required=True)
    table: Document = {"kind": kind}
    for question in questions_of(kind):
        if answer := _answer(question):
            place(table, question.path, answer)
    return table


def _answer(question: Question) -> str:
    text = question.text + ("" if question.is_required else " (none: left out)")
    return _prompt(text, hidden=question.is_secret, choices=question.choices, required=question.is_required)


def _source() -> Document:
    table: Document = {"source": _prompt("source: the `source` of its events, e.g. urn:example:session-timeout-job")}
    for name, text in (("types", f"of {_TYPES}"), ("providers", "that its events may reach")):
        if answer := _prompt(f"{name}: those {text}, with commas between (none: all)"):
            table[name] = [each.strip() for each in answer.split(",")]
    return table


def _prompt(text: str, *, hidden: bool = False, choices: tuple[str, ...] = (), required: bool = False) -> str:
    """Ask on stderr; an empty line is an answer where none is *required*."""
    kind = click.Choice(choices if required else ("", *choices)) if choices else None
    default = None if required else ""
    shown = not choices or required
    answer = click.prompt(text, default, hidden, type=kind, show_default=False, show_choices=shown, err=True)
    return str(answer).strip()
