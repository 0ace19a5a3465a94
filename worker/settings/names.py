"""The names of settings, as variables, secret files and pydantic's errors spell them; and what a wrong one meant."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from tasks import doors, providers
from tasks.doors.settings import CommonDoorSettings
from tasks.providers.kind import CommonSettings

PREFIX: Final = "REVOKER_"
BETWEEN: Final = "__"  # levels, in a variable and in a secret file's name
_ANY: Final = "*"  # a name that the operator gives: of a provider instance, of a source, of a door
# What is read by the kind that it names: the settings of every kind.
_OF_KINDS: Final[Mapping[type[BaseModel], Callable[[], Iterable[type[BaseModel]]]]] = {
    CommonSettings: lambda: (each.settings for each in providers.KINDS.values()),
    CommonDoorSettings: lambda: (each.settings for each in doors.KINDS.values()),
}
_PREFIX: Final = re.compile(r"revoker[_.-]")
_GAPS: Final = re.compile(r"[_.\s-]+")
_EXTENSION: Final = re.compile(r"\.\w+$")

Path = tuple[str, ...]


class SettingNames:
    """Every name that a model of settings knows."""

    def __init__(self, settings: type[BaseModel]) -> None:
        self._known: dict[Path, list[FieldInfo]] = {}  # several where kinds of providers have a name in common
        for path, field in _fields(settings, ()):
            self._known.setdefault(path, []).append(field)

    def is_looked_at(self, path: Sequence[str]) -> bool:
        """Whether anything reads a variable or file of this *path*: a section itself refuses what it does not know."""
        ends = (path[:depth] for depth in range(len(path), 0, -1) if self._is_known(path[:depth]))
        nearest = next(ends, None)
        return nearest is not None and (len(nearest) == len(path) or self.is_section(nearest))

    def path_of(self, location: Sequence[str | int], *, is_unknown: bool) -> Path:
        """The path of the setting at a pydantic error's *location*, in which union tags stand as well.

        The end of one that *is_unknown* is the name that was given.
        """
        path: Path = ()
        for place, part in enumerate(location, start=1):
            if isinstance(part, int) or self._is_known((*path, part)) or (is_unknown and place == len(location)):
                path = (*path, str(part))
        return path

    def fields_of(self, path: Sequence[str]) -> list[FieldInfo]:
        """The fields that the setting at *path* may be; none where there is no such setting."""
        return [field for known, fields in self._known.items() if _fits(path, known) for field in fields]

    def is_secret(self, path: Sequence[str]) -> bool:
        """Whether the setting at *path* is one that is not shown."""
        return any(SecretStr in _types(field.annotation) for field in self.fields_of(path))

    def is_section(self, path: Sequence[str]) -> bool:
        """Whether there are settings below *path*."""
        return any(len(known) > len(path) and _fits(path, known[: len(path)]) for known in self._known)

    def meant(self, name: str) -> Path | None:
        """The setting that a misspelt *name* of a variable or file is likest to, whatever its case and its marks."""
        bare = _PREFIX.sub("", name.casefold(), count=1)
        stem = _EXTENSION.sub("", bare)
        candidates = {_squeezed("".join(path)): path for path in self._concrete(bare)}
        whole = next((each for each in (_squeezed(bare), _squeezed(stem)) if each in candidates), None)
        near = [whole] if whole else difflib.get_close_matches(_squeezed(stem), candidates, 1)
        return candidates[near[0]] if near else None

    def _is_known(self, path: Sequence[str]) -> bool:
        return any(_fits(path, known) for known in self._known)

    def _concrete(self, name: str) -> Iterator[Path]:
        parts = name.split(BETWEEN) if BETWEEN in name else _GAPS.split(name)
        given = parts[1] if len(parts) > 1 else ""
        for known in sorted(self._known):
            if given or _ANY not in known:
                yield tuple(given if part == _ANY else part for part in known)


def _fields(model: type[BaseModel], above: Path) -> Iterator[tuple[Path, FieldInfo]]:
    for name, field in model.model_fields.items():
        path = (*above, field.alias or name)
        yield path, field
        if get_origin(field.annotation) is dict:
            path = (*path, _ANY)
            yield path, field
        for each in _models(field.annotation):
            yield from _fields(each, path)


def _types(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - whatever a field is annotated with
    """*annotation* and those within it."""
    yield annotation
    for each in get_args(annotation):
        yield from _types(each)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - whatever a field is annotated with
    for each in _types(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            yield from _OF_KINDS[each]() if each in _OF_KINDS else (each,)


def _fits(path: Sequence[str], known: Path) -> bool:
    return len(path) == len(known) and all(
        part == name or (name == _ANY and part) for part, name in zip(path, known, strict=True)
    )


def _squeezed(name: str) -> str:
    return _GAPS.sub("", name)
