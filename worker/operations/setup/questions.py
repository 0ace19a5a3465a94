"""What a provider of a kind is asked for: each setting that it needs, in the words of the settings."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from tasks.providers import KINDS
from tasks.strict_model import ASKED

ASKED_KINDS: Final = tuple(name for name, kind in KINDS.items() if kind.narrowed is None)
"""The kinds that a few answers configure. Any other is a table, which people write."""


@dataclass(frozen=True, slots=True)
class Question:
    """One setting, below its table, and what it is for. What is not required may be left without an answer."""

    path: tuple[str, ...]
    text: str
    is_secret: bool
    is_required: bool
    choices: tuple[str, ...]


def questions_of(kind: str) -> Iterator[Question]:
    """Those of a provider of *kind*."""
    return _of_model(KINDS[kind].settings, ())


def _of_model(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[Question]:
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from _of_model(section, (*above, name)) if field.is_required() else ()
        elif field.is_required() or field.json_schema_extra == ASKED:
            yield _question((*above, name), field)


def _question(path: tuple[str, ...], field: FieldInfo) -> Question:
    types = (field.annotation, *get_args(field.annotation))
    choices = tuple(str(value) for each in types if get_origin(each) is Literal for value in get_args(each))
    return Question(path, field.description or "", SecretStr in types, field.is_required(), choices)
