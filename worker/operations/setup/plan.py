"""What `revoker init` would write: the settings without their secrets, a file for each secret, keys, broker users.

Where the folder holds a configuration already, providers and sources are added to it, and nothing else is touched.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tasks.sealing import SealingKey, generate_key
from tasks.sealing.keys import SUFFIX, read_keys
from worker.broker.permissions import OPERATOR, USERS
from worker.operations import RefusedRequest
from worker.operations.setup import producers, rabbitmq
from worker.operations.setup.answers import (
    Document,
    is_secret,
    leaves,
    merged,
    place,
    require_names,
    settle,
    unproved_sources,
)
from worker.operations.setup.layout import Layout
from worker.operations.setup.writing import PUBLIC, PlannedFile, require_room
from worker.settings import Settings
from worker.settings.files import (
    MAX_SECRET,
    SecretFiles,
    UnfitFileError,
    fault_of_secret,
    parse_document,
    read_document,
)
from worker.settings.names import BETWEEN
from worker.settings.toml import toml_lines

REQUIRED: Final = ("broker_url", "ledger_url")
ADDED: Final = ("providers", "sources")
HEAD: Final = "# Every setting: docs/settings.md. Secrets have files of their own, below secrets/."
_SUBJECT_KEY: Final = 32  # random bytes
_NOT_ADDED: Final = "is no new provider or source: edit it there"


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """The *files* that would be written, in this order, and the *settings* of an operator that are then in force.

    *sources* are the new ones, with a folder for their producer; *added*: to a configuration that is there.
    """

    layout: Layout
    settings: Settings = field(repr=False)
    files: tuple[PlannedFile, ...]
    sources: tuple[str, ...]
    added: bool


def plan_setup(folder: Path, answers: Mapping[str, Any]) -> SetupPlan:
    """Return what *answers* make of *folder*. Raises RefusedRequest, SettingsError, SealError, OSError."""
    new, there = settle(answers), existing(folder)
    return _beginning(folder, new) if there is None else _addition(folder, new, there)


def existing(folder: Path) -> Document | None:
    """The settings that *folder* holds already, None where it holds none. Raises RefusedRequest, OSError."""
    layout = _layout_of(folder)
    if not layout.config.exists():
        return None
    hidden: Document = {}
    if layout.secrets_of().is_dir():
        for name, value in SecretFiles.read(layout.secrets_of()).values.items():
            place(hidden, name.split(BETWEEN), value)
    return merged(_read(layout.config), hidden)


def _read(config: Path) -> Document:
    try:
        return read_document(config)
    except UnfitFileError as fault:
        raise RefusedRequest(str(fault)) from None


def _layout_of(folder: Path) -> Layout:
    """That of a configuration which is there."""
    return Layout(folder, has_users=Layout(folder, has_users=True).secrets_of().is_dir())


def _beginning(folder: Path, new: Document) -> SetupPlan:
    for name in REQUIRED:
        if name not in new:
            raise RefusedRequest(f"{name}: is missing ({Settings.model_fields[name].description})")
    url = str(new["broker_url"])
    layout = Layout(folder, has_users=url.startswith("amqp") and not is_secret(("broker_url",), url))
    made = {"keys_dir": str(folder / "keys"), "subject_key": secrets.token_hex(_SUBJECT_KEY)}
    return _plan(layout, made | new, {}, url)


def _addition(folder: Path, new: Document, there: Document) -> SetupPlan:
    layout = _layout_of(folder)
    Settings.of(there)
    if not new:
        raise RefusedRequest(f"{layout.config}: is there already, and no new provider or source is named")
    for path, _ in leaves(new):
        if path[0] not in ADDED or path[1:2] == () or path[1] in there.get(path[0], {}):
            raise RefusedRequest(f"{layout.config}: is there already, and {'.'.join(path[:2])} {_NOT_ADDED}")
    return _plan(layout, new, there, str(_read(layout.config).get("broker_url")))


def _plan(layout: Layout, new: Document, there: Document, broker: str) -> SetupPlan:
    """The plan of the settings that are *new*, beside those that are *there*; *broker* is the URL in the TOML file."""
    require_names(new)
    sources = _with_keys(layout, new)
    passwords = rabbitmq.new_passwords(USERS) if layout.has_users and not there else {}
    whole = merged(there, new)
    if passwords:
        whole["broker_url"] = rabbitmq.url_of(broker, OPERATOR, passwords[OPERATOR])
    settings = Settings.of(whole)
    sealing_keys, made = _sealing_keys(settings.keys_dir)
    files = [*made, *_secrets(layout, new), *_of_processes(layout, broker, passwords)]
    for name in sources:
        files += producers.files_of(layout, name, sealing_keys)
        if layout.has_users:
            files += producers.broker_files_of(layout, name, broker, settings.sources[name].types)
    files.append(_config(layout, new))
    require_room(files)
    return SetupPlan(layout, settings, tuple(files), tuple(sources), added=bool(there))


def _with_keys(layout: Layout, new: Document) -> list[str]:
    """The sources that bring no proof: each gets a key, whose file is put into *new*."""
    sources = unproved_sources(new)
    for name, each in sources.items():
        each["keys"] = str(layout.jwks_of(name))
    return list(sources)


def _sealing_keys(folder: Path) -> tuple[list[SealingKey], list[PlannedFile]]:
    """The keys of *folder*, and the file of the one that is made where it holds none."""
    if keys := read_keys(folder):
        return keys, []
    key = generate_key(producers.new_kid("revocation"))
    file = PlannedFile(folder / f"{key.kid}{SUFFIX}", "opens sealed tokens", producers.key_content(key))
    return [key], [file]


def _secrets(layout: Layout, new: Document) -> Iterator[PlannedFile]:
    """A file for each secret that is *new*, and where each process looks for it."""
    for path, value in leaves(new):
        if is_secret(path, value):
            name = BETWEEN.join(path)
            if fault := _fault(str(value)):
                raise RefusedRequest(f"{'.'.join(path)}: {fault}")
            yield PlannedFile(layout.secrets / name, f"the setting {'.'.join(path)}", str(value).encode())
            for process in _with_folders(layout):
                yield PlannedFile(layout.secrets_of(process) / name, "the same", link=f"../{name}")


def _with_folders(layout: Layout) -> list[str]:
    """The processes with a folder of secrets each: where an earlier release made these, those that it knew."""
    is_there = layout.has_users and layout.secrets_of().is_dir()
    return [each for each in USERS if layout.has_users and (not is_there or layout.secrets_of(each).is_dir())]


def _fault(secret: str) -> str | None:
    """Why *secret* cannot be read from a file as it is, if it cannot."""
    if secret != secret.strip():
        return "begins or ends with white space, which its file would not keep"
    if len(secret.encode()) > MAX_SECRET:
        return f"has more than {MAX_SECRET} bytes"
    return fault_of_secret(secret) or ("reads as a list or table of JSON" if _is_json(secret) else None)


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list | dict)
    except (ValueError, RecursionError):
        return False


def _of_processes(layout: Layout, broker: str, passwords: Mapping[str, str]) -> Iterator[PlannedFile]:
    """How each process gets into the broker, and what the broker must know of it."""
    for name, password in passwords.items():
        url, user = rabbitmq.url_of(broker, name, password).encode(), rabbitmq.user_of(broker, name)
        yield PlannedFile(layout.secrets_of(name) / "broker_url", f"the broker, as {user}", url)
    if passwords:
        content = rabbitmq.definitions_of_processes(broker, passwords)
        yield PlannedFile(layout.definitions_of("processes"), "for RabbitMQ: their users and permissions", content)


def _config(layout: Layout, new: Document) -> PlannedFile:
    """The TOML file, last of all: without it nothing else is in force."""
    before = layout.config.read_bytes() if layout.config.exists() else None
    lines = [HEAD] if before is None else []
    lines += toml_lines(_without_secrets(new, ()))
    content = "\n".join([*lines, ""]).encode()
    if before is not None:
        content = b"\n" * (not before.endswith(b"\n")) + content
        try:
            parse_document(before + content, str(layout.config))
        except UnfitFileError as fault:
            raise RefusedRequest(f"{fault}, once tables are added to it: write each as [providers.NAME]") from None
    return PlannedFile(layout.config, "all other settings", content, PUBLIC, extends=before)


def _without_secrets(document: Mapping[str, Any], above: tuple[str, ...]) -> Document:
    found: Document = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            found[name] = _without_secrets(value, (*above, name))
        elif not is_secret((*above, name), value):
            found[name] = value
    return found
