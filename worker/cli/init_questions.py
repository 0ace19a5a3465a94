"""The questions of `revoker init`, for a person at a terminal: what does not fit is said, and asked again."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import click

from worker.cli.output import note
from worker.operations.setup.answers import Document, faults_of, holds_secret, place
from worker.operations.setup.questions import ASKED_KINDS, Question, questions_of
from worker.settings.sections import SourceSettings

_PLACES: Final = {
    "broker": "Broker: amqps://HOST/VHOST makes a user for each process, amqps://USER@HOST/VHOST makes all this user; "
    "or embedded:///FILE",
    "ledger": "Ledger: postgresql+psycopg://USER@HOST/DATABASE, or sqlite:///FILE",
}


def ask(there: Mapping[str, Any] | None) -> Document:
    """Return the answers; beside the settings that are *there* providers and sources alone are asked for."""
    answers: Document = {}
    if there is None:
        answers |= _until_fit({}, partial(_server, "broker"))
        answers |= _until_fit({}, partial(_server, "ledger"))
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
    while name := _prompt("name", f"The next {what}, by a name of your choice (Enter: no more)"):
        if name in there.get(table, {}) or name in found:
            note(f"there is a {what} {name} already")
        else:
            found |= _until_fit(there, partial(_named, table, name, one))[table]
    return found


def _named(table: str, name: str, one: Callable[[], Document]) -> Document:
    return {table: {name: one()}}


def _server(name: str) -> Document:
    setting = f"{name}_url"
    url = _prompt(setting, _PLACES[name])
    while holds_secret([setting], url):
        note("leave the password out: it is asked for next, and not shown")
        url = _prompt(setting, _PLACES[name])
    answers: Document = {setting: url}
    if "@" in url and (password := _prompt("password", f"Password of the {name}'s user (Enter: none)", hidden=True)):
        answers[f"{name}_password"] = password
    return answers


def _provider() -> Document:
    kind = _prompt("kind", f"One of {', '.join(ASKED_KINDS)}", choices=ASKED_KINDS, required=True)
    table: Document = {"kind": kind}
    for question in questions_of(kind):
        if answer := _answer(question):
            place(table, question.path, answer)
    return table


def _answer(question: Question) -> str:
    return _prompt(
        ".".join(question.path),
        question.text if question.is_required else f"{question.text} (Enter: leave it out)",
        hidden=question.is_secret,
        choices=question.choices,
        required=question.is_required,
    )


def _source() -> Document:
    meaning = {name: field.description for name, field in SourceSettings.model_fields.items()}
    table: Document = {"source": _prompt("source", f"{meaning['source']}, e.g. urn:example:session-timeout-job")}
    for name in ("types", "providers"):
        if answer := _prompt(name, f"{meaning[name]}. With commas between them (Enter: leave it out)"):
            table[name] = [each.strip() for each in answer.split(",")]
    return table


def _prompt(
    name: str, text: str, *, hidden: bool = False, choices: tuple[str, ...] = (), required: bool = False
) -> str:
    """Say on stderr what *name* is, and ask for it; an empty line is an answer where none is *required*."""
    note(text)
    kind = click.Choice(choices if required else ("", *choices)) if choices else None
    default = None if required else ""
    answer = click.prompt(name, default, hidden, type=kind, show_default=False, show_choices=False, err=True)
    return str(answer).strip()
