"""The console's local users: a file with their roles, the names by which events know them, and Argon2id hashes."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, StringConstraints, ValidationError

from tasks.bounds import Moment
from tasks.private_files import WANTED, create_private, is_open_to_others
from tasks.strict_model import StrictModel
from worker.ledger import AuditEntry, Ledger, Operator
from worker.operations import RefusedRequest, passwords
from worker.settings.console_sign_in import Role

LARGEST_FILE: Final = 1_048_576  # bytes
_NO_HASH: Final = "$argon2id$"  # until the rest is known to be fit: a hash takes a quarter of a second
UserName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$")]
Alias = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class UsersFileError(RefusedRequest):
    """The users' file cannot serve. One sentence that names it, and holds nothing of it."""


class User(StrictModel):
    """One of them."""

    role: Role
    password: Annotated[str, StringConstraints(max_length=512, pattern=r"^\$argon2id\$")] = Field(repr=False)
    known_as: tuple[Alias, ...] = Field((), max_length=16)  # how events name them, besides the user name
    since: Moment  # when they were added, or replaced


class _Document(StrictModel):
    users: dict[UserName, User]


@dataclass(frozen=True, slots=True)
class NamedUser:
    """A user with the name, as they are listed."""

    name: str
    user: User


def read_users(path: Path) -> Mapping[str, User]:
    """The users in *path*; none where there is no such file. Raises UsersFileError."""
    try:
        with path.open("rb") as file:
            if is_open_to_others(path, os.fstat(file.fileno())):
                raise UsersFileError(f"{path}: the users' file is open to others; {WANTED}")
            return _Document.model_validate_json(file.read(LARGEST_FILE)).users
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsersFileError(f"{path}: cannot be read ({error.strerror})") from None
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "the whole"
        raise UsersFileError(f"{path}: is no file of users ({place}); `revoker console users` writes one") from None


def list_users(path: Path) -> list[NamedUser]:
    """The users in *path* by name. Raises UsersFileError."""
    return [NamedUser(name, user) for name, user in sorted(read_users(path).items())]


@dataclass(frozen=True, slots=True)
class UserChange:
    """What becomes of the user *name* in the file *path*: *user*, or nothing."""

    path: Path
    name: str
    user: User | None
    action: str


@dataclass(frozen=True, slots=True)
class NewUser:
    """What an operator says of a user."""

    role: Role
    password: str = field(repr=False)
    known_as: Sequence[str] = ()


def plan_user(path: Path, name: str, new: NewUser, *, replaces: bool = False) -> UserChange:
    """Return how *name* is added as *new*, or *replaces* who has the name. Raises RefusedRequest, UsersFileError."""
    passwords.require_fit(new.password)
    if (name in read_users(path)) is not replaces:
        how = f"there is no user {name}: leave out --replace" if replaces else f"{name} is a user already: --replace"
        raise RefusedRequest(f"{how}. Nothing was changed")
    member = {"role": new.role, "known_as": tuple(new.known_as), "since": datetime.now(UTC), "password": _NO_HASH}
    try:
        checked = _Document.model_validate({"users": {name: member}}).users[name]
    except ValidationError as error:
        raise RefusedRequest(_fault_of(error)) from None
    user = checked.model_copy(update={"password": passwords.hashed(new.password)})
    return UserChange(path, name, user, f"console.users.{'replace' if replaces else 'add'}")


def plan_removal(path: Path, name: str) -> UserChange:
    """Return how *name* is removed. Raises RefusedRequest where there is none, UsersFileError."""
    if name not in read_users(path):
        raise RefusedRequest(f"there is no user {name}; nothing was changed")
    return UserChange(path, name, None, "console.users.remove")


def change_user(ledger: Ledger, change: UserChange, operator: Operator) -> AuditEntry:
    """Make *change* between two writings of the audit. Sessions of a user that was replaced or removed are over.

    Raises LedgerUnavailable, UsersFileError, OSError.
    """
    scope = f"{change.name} {change.user.role}" if change.user else change.name
    audit = operator.entry(change.action, scope)
    ledger.audit(replace(audit, result="begun"))
    with _changing(change.path) as users:
        users.pop(change.name, None)
        if change.user:
            users[change.name] = change.user
    ledger.audit(replace(audit, result="done", count=1))
    return audit


def renew_hash(path: Path, name: str, before: User, password: str) -> None:
    """Keep today's hash of *password* where the file still has *before*. Raises UsersFileError, OSError."""
    with _changing(path) as users:
        if users.get(name) == before:
            users[name] = before.model_copy(update={"password": passwords.hashed(password)})


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, User]]:
    """The users in *path*, written back at the end; one at a time changes them."""
    folder = path.absolute().parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        users = dict(read_users(path))
        yield users
        _write(path, _Document(users=users))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, document: _Document) -> None:
    """In place of *path* at once, so that nobody reads half of it."""
    new = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        new.unlink()  # of a change that was cut off
    with os.fdopen(create_private(new), "w") as file:
        json.dump(document.model_dump(mode="json"), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _fault_of(error: ValidationError) -> str:
    if "known_as" in error.errors()[0]["loc"]:
        return "known_as: at most 16 names of 1 to 256 characters. Nothing was changed"
    return "a user name is a letter or digit, then up to 63 of A-Z a-z 0-9 . _ @ + -. Nothing was changed"
