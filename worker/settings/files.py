"""The files that settings come from, and which of its sources each came from.

A fault names the file and the place in it, never its content.
"""

import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from tasks.private_files import WANTED, is_open_to_others
from worker.settings.names import BETWEEN, PREFIX

CONFIG_FILE: Final = "REVOKER_CONFIG_FILE"
SECRETS_DIR: Final = "REVOKER_SECRETS_DIR"
DEFAULT_CONFIG_FILE: Final = Path("var/revoker.toml")

MARK: Final = "\ufeff"  # a byte order mark, once it is decoded
NO_MARK: Final = "begins with a byte order mark; save it as UTF-8 without one"
MAX_SECRET: Final = 1_048_576  # bytes of a secret's file; a device would be read for ever
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # UTF-16 without its mark reads as text with zeros


Mark = tuple[str, int, int, int, int]


def config_file() -> Path | None:
    """The TOML file in force, if any."""
    if named := os.environ.get(CONFIG_FILE):
        return Path(named)
    return DEFAULT_CONFIG_FILE if DEFAULT_CONFIG_FILE.is_file() else None


def secrets_folder() -> Path | None:
    """The folder of secret files, if there is one."""
    named = os.environ.get(SECRETS_DIR)
    return Path(named) if named else None


def marks(files: Iterable[Path]) -> list[Mark]:
    """The state of all *files*. ctime: a mode set right and a file moved count as well."""
    found = []
    for path in files:
        with suppress(OSError):  # gone meanwhile: as if it had never been there
            it = path.stat()
            found.append((str(path), it.st_ino, it.st_size, it.st_mtime_ns, it.st_ctime_ns))
    return found


class UnfitFileError(ValueError):
    """A file of settings cannot serve: one sentence that names it."""


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """A folder with a file for each value: the *values* of those that are fit, and a line for each that is not.

    Folders in it and names that begin with a dot are no secrets: Kubernetes keeps its own there.
    """

    names: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    faults: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The files of *folder* as they are now. Raises OSError where it is no folder that can be read."""
        paths = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and not path.is_dir()]
        values, faults = {}, []
        for path in paths:
            try:
                values[path.name] = read_secret(path)
            except UnfitFileError as fault:
                faults.append(f"{path.name}: the secret's file {fault}")
        return cls(tuple(path.name for path in paths), values, tuple(faults))


class TextSource(EnvSettingsSource):
    """A source whose values are texts: variables, or files.

    pydantic-settings decodes as JSON whatever it does not know the type of, and so the values of a provider. There a
    secret of digits is a text as well, and quotes around it are a part of it.
    """

    def decode_complex_value(self, field_name: str, field: FieldInfo | None, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Decode *value*; where *field* is not known, lists and tables alone."""
        decoded = super().decode_complex_value(field_name, field, value)  # type: ignore[arg-type] # it is None there
        return value if field is None and not isinstance(decoded, dict | list) else decoded


class SecretFilesSource(TextSource):
    """Secret files as a source of settings: named like the variables without their prefix."""

    def __init__(self, settings: type[BaseSettings], files: SecretFiles) -> None:
        self._files = files
        super().__init__(settings, env_prefix="", env_nested_delimiter=BETWEEN)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._files.values.items()}


def read_document(path: Path) -> dict[str, Any]:
    """The TOML document in *path*. Raises OSError, and UnfitFileError with line, column and cause."""
    return parse_document(path.read_bytes(), str(path))


def parse_document(content: bytes, path: str) -> dict[str, Any]:
    """The TOML document in *content*, which came from *path*. Raises UnfitFileError."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise UnfitFileError(f"{path}: is not UTF-8 ({_place(content, error.start)})") from None
    if text.startswith(MARK):
        raise UnfitFileError(f"{path}: {NO_MARK} (at line 1, column 1)")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:  # its text holds keys and single characters, no value
        place = _place(content, len(content))
        raise UnfitFileError(f"{path}: {str(error).replace('at end of document', place)}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, lists in lists without end
        raise UnfitFileError(f"{path}: holds a value that is too large to be read") from None


def _place(content: bytes, at: int) -> str:
    before = content[:at].decode().split("\n")  # as tomllib counts: in characters
    return f"at line {len(before)}, column {len(before[-1]) + 1}"


def read_secret(path: Path) -> str:
    """The value in *path*. Raises UnfitFileError for one that is open to others, or cannot be one text."""
    try:
        status = path.stat()
        if is_open_to_others(path, status):
            raise UnfitFileError(f"is open to others; {WANTED}")
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_SECRET:
            raise UnfitFileError(f"is no regular file of up to {MAX_SECRET} bytes")
        text = path.read_bytes().decode()
    except OSError as error:
        raise UnfitFileError(f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UnfitFileError("is not UTF-8") from None
    if fault := fault_of_secret(text):
        raise UnfitFileError(fault)
    return text.strip()


def fault_of_secret(text: str) -> str | None:
    """Why *text* cannot be the content of a secret's file, if it cannot."""
    if text.startswith(MARK):
        return NO_MARK
    if MARK in text or _CONTROL.search(text):
        return "holds characters that are no text; save it as UTF-8"
    return None if text.strip() else "is empty"


@dataclass(frozen=True, slots=True)
class Origins:
    """The places settings come from, read once, in the order of their precedence."""

    variables: frozenset[str]
    secrets: frozenset[str]
    document: Mapping[str, Any]
    document_name: str

    @classmethod
    def now(cls) -> Self:
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
