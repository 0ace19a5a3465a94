"""`revoker config show`: the settings in force."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from worker.cli.output import Column, Form, Listing, output_option
from worker.cli.tree import Commands
from worker.settings import PREFIX, SECRETS_DIR, Settings, config_file
from worker.settings.files import read_document
from worker.settings.urls import masked_url

config = Commands("config", help="The settings in force.")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting in force: its dotted name, its value as it may be shown, and where it came from."""

    name: str
    value: str
    origin: str


_LISTING: Listing[Setting] = Listing(
    "setting",
    (
        Column("SETTING", lambda each: each.name),
        Column("VALUE", lambda each: each.value, cut=2),
        Column("FROM", lambda each: each.origin, cut=1),
    ),
    lambda each: {"name": each.name, "value": each.value, "from": each.origin},
)


@config.command()
@output_option
def show(form: Form) -> None:
    """Show every setting in force, secrets masked, and where each came from."""
    settings = Settings.load()
    origins = Origins.now()
    shown = [Setting(".".join(path), _shown(value), origins.of(path)) for path, value in _leaves(settings, ())]
    _LISTING.show(form, sorted(shown, key=lambda each: each.name))


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every setting with its path: through sections and tables, down to the single values."""
    match value:
        case BaseModel():
            for name in type(value).model_fields:
                yield from _leaves(getattr(value, name), (*path, name))
        case dict() if value:
            for name, each in value.items():
                yield from _leaves(each, (*path, str(name)))
        case _:
            yield path, value


def _shown(value: object) -> str:
    match value:
        case SecretStr():
            return masked_url(value.get_secret_value())
        case set() | frozenset():
            return ", ".join(sorted(map(repr, value)))
        case None:
            return ""
        case _:
            return str(value)


@dataclass(frozen=True, slots=True)
class Origins:
    """The places settings come from, read once, in the order of their precedence."""

    variables: frozenset[str]
    secrets: frozenset[str]
    document: Mapping[str, Any]
    document_name: str

    @classmethod
    def now(cls) -> Origins:
        """The places as they are now; the settings were loaded from them, so they can be read."""
        folder, file = os.environ.get(SECRETS_DIR), config_file()
        return cls(
            frozenset(name.upper() for name in os.environ if name.startswith(PREFIX)),
            frozenset(each.name.lower() for each in Path(folder).iterdir()) if folder else frozenset(),
            read_document(file) if file else {},
            str(file),
        )

    def of(self, path: tuple[str, ...]) -> str:
        """Where the setting at *path* came from."""
        for depth in range(len(path), 0, -1):  # a variable or file may hold a whole section as JSON
            name = "__".join(path[:depth])
            if f"{PREFIX}{name}".upper() in self.variables:
                return f"{PREFIX}{name}".upper()
            if name.lower() in self.secrets:
                return f"secret file {name}"
        return self.document_name if _holds(self.document, path) else "default"


def _holds(document: object, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return False
        document = document[name]
    return True
