"""Sealing keys: which there are, what still needs them, and how they are made, retired, restored and destroyed.

What needs a key is what the ledger knows, and for the rest a quiet period. Queued calls are in the ledger as soon as
they are planned, each with its kid. What is not there are events on their way to it: in a producer's hands, in the
intake's queue, or replayed and not yet planned; queues cannot be searched without disturbing them. Such an event is
used within its budget or given up, and giving up a call names its key in the ledger. So a key that opened nothing for
the longest budget is not needed by anything that is not on record.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from tasks.sealing import SealError, SealingKey, generate_key, public_jwks, save_key
from tasks.sealing.keys import SUFFIX, algorithm_of, imported_keys, read_keys
from worker.ledger import BEGUN, AuditEntry, Ledger, Operator
from worker.ledger.keys import KeyNeed
from worker.operations import RefusedRequest
from worker.operations.on_record import OnRecord, on_record
from worker.operations.text import counted, short_duration
from worker.settings import Settings

RETIRED: Final = "retired"  # the folder below that of the keys


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A private sealing key of ours, in the file *path*."""

    key: SealingKey
    path: Path
    kid: str
    algorithm: str  # the JWE alg that it serves for
    fingerprint: str  # RFC 7638: the same for the public half, so producers can compare
    created: datetime
    idle_since: datetime  # may have been without use: made, or moved aside or back (then its ctime changed)
    state: str  # serving; retired: it lies aside, where no worker reads it

    @classmethod
    def at(cls, path: Path, key: SealingKey) -> Self:
        """Return *key*, which was read from *path*."""
        modified, changed = (datetime.fromtimestamp(at, UTC) for at in (path.stat().st_mtime, path.stat().st_ctime))
        names = (str(key.kid), algorithm_of(key), str(key.thumbprint()))
        state = "retired" if path.parent.name == RETIRED else "serving"
        return cls(key, path, *names, modified, max(modified, changed), state)


def _name() -> str:
    return f"revocation-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A private key as it is to be made, by default named after the time."""

    algorithm: str
    curve: str | None = None
    kid: str = field(default_factory=_name)


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key and what needs it; None: nobody knows, the ledger is away."""

    stored: StoredKey
    need: KeyNeed | None
    quiet: timedelta  # that it has to be without use

    @property
    def last_used(self) -> datetime | None:
        """When it last opened a token, as far as it is known."""
        return self.need.last_used if self.need else None

    @property
    def needed_by(self) -> list[str]:
        """Why it must stay, in words; empty where nothing needs it."""
        if self.need is None:
            return ["unknown: the ledger is away"]
        found = {"dead letter": self.need.dead_letters, "call": self.need.calls, "session": self.need.sessions}
        reasons = [f"{counted(number)} {what}{'s' * (number > 1)}" for what, number in found.items() if number]
        idle = datetime.now(UTC) - max(filter(None, (self.stored.idle_since, self.last_used)))  # without use
        left = self.quiet - idle
        return reasons + ([f"events, for {short_duration(left)}"] if left > timedelta() else [])


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A change of one key that nothing forbids; *action* is what the audit calls it."""

    key: StoredKey
    action: str
    folder: Path | None  # where its file is moved to; None: it is deleted for good


def states_of(settings: Settings, keys: Sequence[StoredKey], ledger: Ledger | None = None) -> list[KeyState]:
    """Return what needs each of *keys*; nobody knows without *ledger*. Raises LedgerUnavailable."""
    quiet = max(settings.budgets().values())  # the longest budget of a call
    needs = ledger.key_needs(datetime.now(UTC) - quiet) if ledger else None
    return [KeyState(key, None if needs is None else needs.get(key.kid, KeyNeed()), quiet) for key in keys]


def generate(settings: Settings | None, folder: Path, new: NewKey, operator: Operator) -> tuple[StoredKey, OnRecord]:
    """Make the *new* key in *folder*. Raises SealError where one has its name, and as `on_record` does."""
    audit = operator.entry("keys.generate", new.kid, plan=f"{new.algorithm} in {folder}")
    with on_record(settings, audit) as recorded:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_key(folder, generate_key(new.kid, new.algorithm, new.curve))
    return next(each for each in stored_keys(folder) if each.kid == new.kid), recorded


def plan_retirement(settings: Settings, ledger: Ledger, folder: Path, kid: str, *, destroy: bool = False) -> KeyChange:
    """Return the retirement of *kid*, or of a retired one its destruction. Raises RefusedRequest where it is needed."""
    if destroy:
        change = KeyChange(_require_key(kid, retired_keys(folder), "retired key"), "keys.destroy", None)
    else:
        change = KeyChange(_require_key(kid, stored_keys(folder), "key"), "keys.retire", folder / RETIRED)
        if len(stored_keys(folder)) == 1:
            raise RefusedRequest("it is the only key: make another one first (revoker keys generate)")
    [state] = states_of(settings, [change.key], ledger)
    if state.needed_by:
        raise RefusedRequest(f"{kid} is still needed by: {'; '.join(state.needed_by)}. Nothing was changed")
    return change


def plan_restoration(folder: Path, kid: str) -> KeyChange:
    """Return the return to service of the retired *kid*. Raises RefusedRequest where there is none."""
    return KeyChange(_require_key(kid, retired_keys(folder), "retired key"), "keys.restore", folder)


def change_key(ledger: Ledger, change: KeyChange, operator: Operator) -> AuditEntry:
    """Make *change* between two writings of the audit: whatever happens to us, it is on record that it was begun.

    Raises LedgerUnavailable, OSError, and SealError where a key of its name is in the way.
    """
    plan = f"{change.key.path}: {f'moved to {change.folder}' if change.folder else 'deleted for good'}"
    audit = operator.entry(change.action, change.key.kid, plan=plan)
    ledger.audit(replace(audit, result=BEGUN))
    if change.folder is None:
        change.key.path.unlink()
    else:
        _move(change.key, change.folder)
    ledger.audit(replace(audit, result="done", count=1))
    return audit


def _require_key(kid: str, keys: Sequence[StoredKey], what: str) -> StoredKey:
    for key in keys:
        if key.kid == kid:
            return key
    raise RefusedRequest(f"there is no {what} {kid}")


def stored_keys(folder: Path) -> list[StoredKey]:
    """The keys of *folder*, newest first. Raises SealError, naming the file, for one that is no fit private key."""
    stored = map(StoredKey.at, sorted(folder.glob(f"*{SUFFIX}")), read_keys(folder))
    return sorted(stored, key=lambda each: (each.created, each.kid), reverse=True)


def retired_keys(folder: Path) -> list[StoredKey]:
    """Those that were moved aside, newest first. Raises SealError as `stored_keys` does."""
    return stored_keys(folder / RETIRED)


def _move(key: StoredKey, folder: Path) -> None:
    """Move the file of *key* to *folder*. Raises SealError where one of its name is there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        (folder / key.path.name).hardlink_to(key.path)
    except FileExistsError:
        raise SealError(f"the key file {key.path.name} exists already in {folder}") from None
    key.path.unlink()


def exported(folder: Path) -> dict[str, Any]:
    """The public halves of the keys in *folder* as a JWK Set, newest first: what producers seal with."""
    return public_jwks(each.key for each in stored_keys(folder))


def sealing_key(folder: Path, jwks: Path | None, kid: str | None) -> SealingKey:
    """The key named *kid*, else the first, of the set *jwks*, else of ours in *folder*. Raises SealError for none."""
    keys = _of_jwks(jwks) if jwks else [each.key for each in stored_keys(folder)]
    for key in keys:
        if kid in (None, key.kid):
            return key
    place = jwks or folder
    raise SealError(f"{place}: no key named {kid}" if kid else f"{place}: no key; `revoker keys generate` makes one")


def _of_jwks(path: Path) -> list[SealingKey]:
    try:
        keys = imported_keys(path.read_bytes(), is_set=True)
    except OSError as error:
        raise SealError(f"{path}: {error.strerror}") from None
    if keys is None:
        raise SealError(f"{path}: not a JWK Set of X25519, EC and RSA keys")
    for key in keys:
        algorithm_of(key)
    return keys
