"""What refuses a start, a line for each fault: it names a setting, a variable or a file, and shows no value."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings.exceptions import SettingsError

from tasks import doors, providers
from worker.settings.files import (
    CONFIG_FILE,
    SECRETS_DIR,
    SecretFiles,
    UnfitFileError,
    config_file,
    read_document,
    secrets_folder,
)
from worker.settings.names import BETWEEN, PREFIX, SettingNames

_REVOKER: Final = re.compile(r"revoker[_.-]", re.IGNORECASE)
# What the kubelet gives every container for a Service named `revoker` or `revoker-…` of its namespace
# (kubernetes.io, "Service", environment variables): no one means them for us.
_OF_A_SERVICE: Final = re.compile(
    r"REVOKER(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9]+)*|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_UNKNOWN: Final = "unknown setting"
_MISSING: Final = {"missing", "union_tag_not_found"}  # pydantic's names; the second is about the `kind` of a provider


def faults_of_sources(settings: type[BaseModel]) -> list[str]:
    """Of the names of variables and secret files, and of the files.

    pydantic-settings passes over a name that it does not know; and so a typo would become a default.
    """
    names = SettingNames(settings)
    return [*_of_variables(names), *_of_document(), *_of_secrets(names)]


def faults_of_values(settings: type[BaseModel], error: ValidationError) -> list[str]:
    """Of the values, each once."""
    names = SettingNames(settings)
    return list(dict.fromkeys(_of_value(names, each) for each in error.errors()))


def fault_of_json(error: SettingsError) -> str:
    """pydantic-settings names the top of a setting whose list or table is no JSON, and nothing of its value."""
    named = re.search(r'field "(\w+)"', str(error))
    return f"{named[1] if named else 'settings'}: a list or table in a variable or secret file must be JSON"


def _of_value(names: SettingNames, error: ErrorDetails) -> str:
    is_unknown = error["type"] == "extra_forbidden"
    path = names.path_of(error["loc"], is_unknown=is_unknown)
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] in _MISSING:
        return _missing(names, path if error["type"] == "missing" else (*path, "kind"))
    if error["type"] == "union_tag_invalid":  # the one message of pydantic's that shows what was given
        message = f"{error['ctx']['discriminator'].strip(chr(39))} must be one of {error['ctx']['expected_tags']}"
    if is_unknown:
        message = _UNKNOWN + _hint(names, BETWEEN.join(path), ".".join)
    return ": ".join(filter(None, [".".join(path), message]))


def _missing(names: SettingNames, path: Sequence[str]) -> str:
    """What the setting at *path* is for, in the words of its field, and each way to set it."""
    table, section = ".".join(path[:-1]), f"[{'.'.join(path)}] in the TOML file"
    line = f'{path[-1]} = "…" in the TOML file{table and f", below [{table}]"}'
    variable = f"{PREFIX}{BETWEEN.join(path)}".upper()
    secret = f"the secret file {BETWEEN.join(path)}, " if names.is_secret(path) else ""
    ways = section if names.is_section(path) else f"{secret}the variable {variable} or {line}"
    return f"{'.'.join(path)}: is missing ({_purpose(names, path)}). Set {ways}; `revoker init` writes it"


def _purpose(names: SettingNames, path: Sequence[str]) -> str:
    if path[-1] == "kind":
        return f"one of {', '.join(doors.KINDS if path[0] == 'doors' else providers.KINDS)}"
    return next((each.description or "" for each in names.fields_of(path) if each.is_required()), "")


def _of_variables(names: SettingNames) -> Iterator[str]:
    named = sorted(name for name in os.environ if _REVOKER.match(name) and not _OF_A_SERVICE.fullmatch(name))
    places = (CONFIG_FILE, SECRETS_DIR)
    yield from (f"{name}: names nothing; leave it out" for name in places if os.environ.get(name) == "")
    settings = [name for name in named if name not in places]
    yield from _of_names(names, settings, PREFIX, lambda path: f"{PREFIX}{BETWEEN.join(path)}".upper())


def _of_secrets(names: SettingNames) -> Iterator[str]:
    folder = secrets_folder()
    try:
        files = SecretFiles.read(folder) if folder else SecretFiles()
    except (FileNotFoundError, NotADirectoryError):
        yield f"{SECRETS_DIR}: there is no such folder"
    except OSError as error:
        yield f"{SECRETS_DIR}: cannot be read ({error.strerror})"
    else:
        yield from _of_names(names, files.names, "", BETWEEN.join)
        yield from files.faults


def _of_document() -> Iterator[str]:
    config = config_file()
    try:
        if config is not None and config.is_file():  # a pipe could be read but once
            read_document(config)
        elif config is not None:
            yield f"{CONFIG_FILE}: there is no such file"
    except UnfitFileError as fault:
        yield str(fault)
    except OSError as error:
        yield f"{config}: cannot be read ({error.strerror})"


def _of_names(
    names: SettingNames, given: Sequence[str], prefix: str, spelt: Callable[[Iterable[str]], str]
) -> Iterator[str]:
    """A line for each of the *given* names that no setting has, or that names the same one as another does."""
    seen: dict[str, str] = {}
    for name in given:
        path = name.lower().removeprefix(prefix.lower()).split(BETWEEN)
        if not name.lower().startswith(prefix.lower()) or not names.is_looked_at(path):
            yield f"{name}: {_UNKNOWN}{_hint(names, name, spelt)}"
        elif (first := seen.setdefault(name.lower(), name)) != name:
            yield f"{name}: the same setting as {first}"


def _hint(names: SettingNames, name: str, spelt: Callable[[Iterable[str]], str]) -> str:
    meant = names.meant(name)
    return f"; did you mean {spelt(meant)}?" if meant else ""
