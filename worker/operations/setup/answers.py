"""What `revoker init` is told: a configuration as its TOML file would hold it, and secrets with it.

In the place of a secret may stand `{ file = "…" }`: the file that holds it. `broker_password` and `ledger_password` are
passwords as they are: they are percent-encoded into the URL of that name.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tasks.private_files import WANTED, is_open_to_others
from worker.broker.permissions import USERS
from worker.operations import RefusedRequest
from worker.settings import Settings, SettingsError
from worker.settings.files import UnfitFileError, parse_document, read_secret
from worker.settings.names import SettingNames
from worker.settings.urls import names_nobody

Document = dict[str, Any]

PASSWORDS: Final = {"broker_password": "broker_url", "ledger_password": "ledger_url"}
MAX_ANSWERS: Final = 1_048_576  # bytes read
_NAMES: Final = SettingNames(Settings)
_PASSWORD_IN_URL: Final = re.compile(r"://[^@]*:[^@]*@|[?&](ssl)?password=")  # any @ in it ends a user
# A secret's file is named after its provider, with __ behind the name.
_PROVIDER: Final = re.compile(r"[a-z][a-z0-9-]*(_[a-z0-9-]+)*")
_FIT_PROVIDER: Final = "its name must be of a-z 0-9 - and single _ within, and begin with a letter"
# It is the name of a folder, of files and of a broker's user.
_SOURCE: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_FIT_SOURCE: Final = (
    f"its name must be a lower-case letter, then up to 31 of a-z 0-9 _ -, and none of {', '.join(USERS)}"
)
_PROOFS: Final = {"users", "keys", "trusted", "doors"}
_NEW_SUBJECT_KEY: Final = "0" * 32  # stands in a check for the one that is made
_NEW_KEYS: Final = "made"  # likewise
_BROKEN_USER: Final = "names no user whom the password could be of, or a password already"


def read_answers(path: Path) -> Document:
    """The answers in the TOML file *path*. Raises OSError, and RefusedRequest for a file that cannot serve.

    One with a secret in it is for its owner alone.
    """
    with path.open("rb") as file:
        document = parse_answers(file.read(MAX_ANSWERS), str(path))
        if any(holds_secret(*each) for each in leaves(document)) and is_open_to_others(path, os.fstat(file.fileno())):
            raise RefusedRequest(f"{path}: holds a secret and is open to others; {WANTED}")
    return document


def parse_answers(content: bytes, name: str) -> Document:
    """The answers in *content*, which came from *name*. Raises RefusedRequest."""
    try:
        return parse_document(content, name)
    except UnfitFileError as fault:
        raise RefusedRequest(str(fault)) from None


def add_answer(document: Document, name: str, text: str) -> None:
    """Set the setting that is called *name*, with dots between its levels, to *text*, or to the JSON list in it.

    Raises RefusedRequest for a secret: everybody on the machine can read a command line.
    """
    path = name.split(".")
    if holds_secret(path, text):
        raise RefusedRequest(f"{name}: a command line is no place for a secret; give it by --secret {name}=FILE")
    place(document, path, _listed(text))


def add_secret(document: Document, name: str, file: Path) -> None:
    """Set the secret that is called *name* to what *file* holds. Raises RefusedRequest."""
    place(document, name.split("."), {"file": str(file)})


def settle(document: Mapping[str, Any]) -> Document:
    """*document* with the content of every file that it names, its passwords within the URLs. Raises RefusedRequest."""
    settled = _with_files(document, ())
    for name, url in PASSWORDS.items():
        password = settled.pop(name, None)
        if password is not None:
            settled[url] = _with_password(settled.get(url), password, name)
    return settled


def faults_of(part: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """What is wrong with a *part* of the answers, beside what is *there*; what is missing besides is no fault."""
    try:
        settled = settle(part)
        require_names(settled)
        for each in unproved_sources(settled).values():
            each["keys"] = _NEW_KEYS
        Settings.of({"subject_key": _NEW_SUBJECT_KEY, **merged(there, settled)})
    except (SettingsError, RefusedRequest) as error:
        return str(error).splitlines()
    return []


def require_names(document: Mapping[str, Any]) -> None:
    """Raise RefusedRequest where a provider or an unproved source has a name that cannot be that of its files."""
    providers = document.get("providers")
    for name in providers if isinstance(providers, dict) else ():
        if not _PROVIDER.fullmatch(name):
            raise RefusedRequest(f"providers.{name}: {_FIT_PROVIDER}")
    for name in unproved_sources(document):
        if not _SOURCE.fullmatch(name) or name in USERS:
            raise RefusedRequest(f"sources.{name}: {_FIT_SOURCE}")


def unproved_sources(document: Mapping[str, Any]) -> dict[str, Document]:
    """The tables of the sources that bring no proof, by name: each is to get a key."""
    sources = document.get("sources")
    tables = sources.items() if isinstance(sources, dict) else ()
    return {name: each for name, each in tables if isinstance(each, dict) and not each.keys() & _PROOFS}


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> Document:
    """Both documents; where both have a value, that of *other*."""
    found = dict(one)
    for name, value in other.items():
        before = found.get(name)
        found[name] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return found


def leaves(document: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of *document* with its path; what names a file is a value."""
    for name, value in document.items():
        if isinstance(value, Mapping) and value and not _is_file(value):
            yield from leaves(value, (*above, name))
        else:
            yield (*above, name), value


def place(document: Document, path: Sequence[str], value: object) -> None:
    """Set what is at *path* to *value*. Raises RefusedRequest where something is there."""
    *tables, last = path
    for name in tables:
        document = document.setdefault(name, {})
        if not isinstance(document, dict):
            raise RefusedRequest(f"{'.'.join(path)}: {name} has a value already")
    if last in document:
        raise RefusedRequest(f"{'.'.join(path)}: is given twice")
    document[last] = value


def _listed(text: str) -> object:
    try:
        return json.loads(text) if text.startswith("[") else text
    except (ValueError, RecursionError):
        return text


def is_secret(path: Sequence[str], value: Any) -> bool:  # noqa: ANN401 - whatever the document holds
    """Whether *value*, of the setting at *path*, belongs into a secret file. A URL does where it names a user."""
    if tuple(path) in {("broker_url",), ("ledger_url",)}:
        return not names_nobody(str(value))
    return path[0] in PASSWORDS or _NAMES.is_secret(path)


def holds_secret(path: Sequence[str], value: Any) -> bool:  # noqa: ANN401 - whatever the document holds
    """Whether a secret can be read in *value*: a user's name alone is none."""
    if tuple(path) in {("broker_url",), ("ledger_url",)}:
        return _PASSWORD_IN_URL.search(str(value)) is not None
    return is_secret(path, value) and not _is_file(value)


def _is_file(value: Any) -> bool:  # noqa: ANN401 - whatever the document holds
    return isinstance(value, Mapping) and value.keys() == {"file"}


def _with_files(document: Mapping[str, Any], above: tuple[str, ...]) -> Document:
    found: Document = {}
    for name, value in document.items():
        path = (*above, name)
        if _is_file(value) and (path[0] in PASSWORDS or _NAMES.is_secret(path)):
            found[name] = _content(path, Path(str(value["file"])))
        else:
            found[name] = _with_files(value, path) if isinstance(value, Mapping) else value
    return found


def _content(path: Sequence[str], file: Path) -> str:
    try:
        return read_secret(file)
    except UnfitFileError as fault:
        raise RefusedRequest(f"{'.'.join(path)}: the file {file} {fault}") from None


def _with_password(url: object, password: object, name: str) -> str:
    """*url* with *password* behind its user's name; of several brokers, in each."""
    coded = quote(str(password), safe="")
    parts = [each.partition("@") for each in str(url).split(";")]
    if any(not at or ":" in user.partition("://")[2] for user, at, _ in parts):
        raise RefusedRequest(f"{name}: {PASSWORDS[name]} {_BROKEN_USER}")
    return ";".join(f"{user}:{coded}@{place}" for user, _, place in parts)
