"""The settings in force, as they may be shown."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel, SecretStr

from worker.settings import Settings
from worker.settings.files import Origins
from worker.settings.urls import masked_url, names_nobody


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting in force: its dotted name, its value as it may be shown, and where it came from."""

    name: str
    value: str
    origin: str


def in_force() -> list[Setting]:
    """Return every setting by its name, secrets masked. Raises SettingsError."""
    settings, origins = Settings.load(), Origins.now()
    every = [Setting(".".join(path), _shown(value), origins.of(path)) for path, value in _leaves(settings, ())]
    return sorted(every, key=lambda each: each.name)


def secrets_in_document(settings: Settings) -> list[str]:
    """The names of the secrets of *settings* that stand in the TOML file. Raises OSError."""
    origins = Origins.now()
    secret = [
        path for path, value in _leaves(settings, ()) if isinstance(value, SecretStr) and not _is_place(path, value)
    ]
    return [".".join(path) for path in secret if origins.of(path) == origins.document_name]


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


def _is_place(path: tuple[str, ...], value: SecretStr) -> bool:
    return path in {("broker_url",), ("ledger_url",)} and names_nobody(value.get_secret_value())


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
