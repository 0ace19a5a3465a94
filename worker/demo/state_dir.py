"""The state directory of a run: locked by one run at a time, prepared with keys and a configuration."""

import fcntl
import json
import os
import secrets
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tasks.private_files import create_private
from tasks.sealing import generate_key, save_key
from tasks.sealing.keys import SUFFIX
from worker import broker
from worker.ledger import Ledger, Operator
from worker.operations.console_users import NewUser, change_user, plan_user, read_users
from worker.sandbox import sandbox_providers
from worker.sandbox.client import free_port
from worker.settings import Settings
from worker.settings.console_sign_in import Role
from worker.settings.files import CONFIG_FILE
from worker.settings.names import PREFIX
from worker.settings.toml import toml_lines

CONFIG: Final = "revoker.toml"
OPERATOR: Final = "operator"  # who signs in at the console
LOG_LEVEL: Final = f"{PREFIX}LOG_LEVEL"
LOCK_TIMEOUT: Final = 10.0  # a killed run's processes are gone by then
MARK: Final = "# Written by `revoker run` at every start; REVOKER_... environment variables win over it."
HEAD: Final = f"""{MARK}
# For a configuration of your own, copy it and set REVOKER_CONFIG_FILE to the copy.
"""
SETTINGS: Final = """
# Short, so that a first look does not take minutes. Left out, the defaults apply: base 1, cap 300.
[retry]
base = 1.0 # seconds: ceiling of the first delay
cap = 5.0 # seconds: ceiling of every delay

# Short likewise; the default is first 15, cap 300.
[hold]
first = 2.0 # seconds a refused credential is left alone before it is probed
cap = 10.0 # seconds

# On RabbitMQ nobody else is believed. Here `revoker publish` needs no proof of who it is.
[sources.cli]
source = "urn:revoker:cli"
trusted = true

[sources.samples]
source = "urn:revoker:run"
{proof}

# The sandbox: it stands for the providers."""


TRUSTED: Final = "trusted = true"
# A user.enabled takes revocations back: a source must name it, and on RabbitMQ prove who it is.
TYPES: Final = 'types = ["session.ended", "user.disabled", "user.enabled"]'


class StateError(Exception):
    """The state directory cannot serve; one line that says why."""


@contextmanager
def locked(folder: Path, note: Callable[[str], None], stop: threading.Event) -> Iterator[int]:
    """Hold *folder* (made if missing) for this run; yields the file descriptor that its processes are to hold open.

    The processes of a run that was killed are just ending: they are waited for, up to 10 s or until *stop*, which
    *note* tells. Raises StateError where they are still there then, and at once where another run works in *folder*.
    """
    with ExitStack() as held:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            run, processes = (_opened(folder / name, held) for name in ("run.lock", "processes.lock"))
        except OSError as error:
            raise StateError(f"{folder}: cannot be used ({error.strerror})") from None
        if not _try_lock(run):
            raise StateError(f"{folder}: another `revoker run` works there; stop it, or name another --state-dir")
        if not _try_lock(processes) and not _wait_for_lock(processes, folder, note, stop):
            raise StateError(f"{folder}: processes of an earlier run still work there; end them first")
        yield processes


def prepare(folder: Path, sandbox_url: str) -> Settings:
    """Write the configuration that *folder* lacks, take it into force, and return the settings.

    The subject key and the sealing key of an earlier run stay. Raises StateError for a configuration not of ours and
    for a folder that cannot be written, SettingsError where an environment variable is at fault, SealError for keys
    that cannot serve.
    """
    config = folder / CONFIG
    try:
        (folder / "log").mkdir(mode=0o700, exist_ok=True)
        subject_key = _subject_key(config)
        _write_private(config, _configuration(folder, subject_key, sandbox_url, TRUSTED))
        os.environ[CONFIG_FILE] = str(config)  # for this process, and so for all that it starts
        user = broker.user(Settings.load().broker_url.get_secret_value())
        proof = TRUSTED if user is None else f"users = [{json.dumps(user)}]"
        _write_private(config, _configuration(folder, subject_key, sandbox_url, f"{proof}\n{TYPES}"))
        settings = Settings.load()
        if settings.log_level not in {"DEBUG", "INFO"}:
            os.environ[LOG_LEVEL] = "INFO"  # a process says at this level that it is ready
        settings.keys_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"{folder}: cannot be written ({error.strerror})") from None
    if not any(settings.keys_dir.glob(f"*{SUFFIX}")):
        save_key(settings.keys_dir, generate_key(f"local-{datetime.now(UTC):%Y-%m-%d}"))
    return settings


def prepare_operator(folder: Path, users_file: Path, ledger: Ledger) -> Path:
    """Let OPERATOR sign in at the console, by a password that stays what it was; return the file that holds it.

    Raises RefusedRequest, LedgerUnavailable, OSError.
    """
    path = folder / "console-password"
    is_known = OPERATOR in read_users(users_file)
    if path.exists() and is_known:
        return path
    password = secrets.token_urlsafe(18)
    new = plan_user(users_file, OPERATOR, NewUser(Role.OPERATOR, password), replaces=is_known)
    change_user(ledger, new, Operator("revoker run", "so that somebody can sign in at the console"))
    _write_private(path, f"{password}\n")
    return path


def _opened(path: Path, held: ExitStack) -> int:
    lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    held.callback(os.close, lock)
    return lock


def _wait_for_lock(lock: int, folder: Path, note: Callable[[str], None], stop: threading.Event) -> bool:
    note(f"{folder}: waiting up to {LOCK_TIMEOUT:g} s for the processes of an earlier run to end")
    until = time.monotonic() + LOCK_TIMEOUT
    while not _try_lock(lock):
        if time.monotonic() > until or stop.wait(0.1):
            return False
    return True


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _subject_key(config: Path) -> str:
    """The key of an earlier run: without it, no person it recorded could be looked up."""
    if not config.exists():
        return secrets.token_urlsafe(32)
    text = config.read_text()
    if not text.startswith(MARK):
        raise StateError(f"{config}: not written by `revoker run`, and left alone; name another --state-dir")
    try:
        return str(tomllib.loads(text)["subject_key"])
    except (tomllib.TOMLDecodeError, KeyError):
        raise StateError(f"{config}: holds no subject_key any more; mend it, or move it away") from None


def _configuration(folder: Path, subject_key: str, sandbox_url: str, proof: str) -> str:
    places = {
        "broker_url": f"embedded:///{folder / 'broker.sqlite3'}",
        "ledger_url": f"sqlite:///{folder / 'ledger.sqlite3'}",
        "keys_dir": str(folder / "keys"),
        "subject_key": subject_key,
        "environment": "showcase",
    }
    console = {"port": free_port(), "users_file": str(folder / "console-users.json")}
    more = toml_lines({"providers": sandbox_providers(sandbox_url), "console": console})
    return "\n".join([HEAD, *toml_lines(places), SETTINGS.format(proof=proof), *more, ""])


def _write_private(path: Path, text: str) -> None:
    """Write *path* whole or not at all, readable by its owner alone."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(create_private(part), "w") as file:
        file.write(text)
    part.replace(path)
