"""The console's local users: a file of hashes that only its owner reads."""

import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from in_one_test import in_one_test

from worker.operations import RefusedRequest, passwords
from worker.operations.console_users import NewUser, UsersFileError, list_users, plan_removal, plan_user, read_users
from worker.settings.console_sign_in import Role

PASSWORD = "correct horse battery staple"
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$" + "A" * 43


def users_file(path: Path, **users: object) -> Path:
    """A file of *users* in the folder *path*."""
    file = path / "users.json"
    file.write_text(json.dumps({"users": users}))
    file.chmod(0o600)
    return file


def test_a_hash_is_argon2id_with_salt_and_the_parameters_of_rfc_9106() -> None:
    """Two hashes of one password differ; a password is right however a keyboard composes it, and no other is."""
    phc = passwords.hashed("Straße ü long enough")
    assert phc.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.hashed("Straße ü long enough") != phc
    assert passwords.is_right("Straße u\u0308 long enough", phc)
    assert not passwords.is_right("Strasse ü long enough", phc)
    assert not passwords.is_right("Straße ü long enough", None)
    assert not passwords.is_outdated(phc)


@in_one_test
@pytest.mark.parametrize("password", ["", "x" * 100_000, "\udc80\ud800", "\0", "\u202e" * 1024])
def test_no_password_is_nobodys_and_none_ends_the_process(password: str) -> None:
    """Whatever is typed: long, empty, half a character."""
    assert not passwords.is_right(password, "no PHC string")


def test_a_hash_with_other_parameters_still_serves_and_is_known_for_it() -> None:
    """It is renewed at the next sign-in."""
    old = Argon2id(salt=os.urandom(16), length=32, iterations=1, lanes=1, memory_cost=64)
    phc = old.derive_phc_encoded(PASSWORD.encode())
    assert passwords.is_right(PASSWORD, phc)
    assert passwords.is_outdated(phc)


@in_one_test
@pytest.mark.parametrize("name", ["", "a" * 65, "\u202eadmin", "olga\n", "a b", "-rf", "<b>", "ольга"])
def test_a_user_name_is_plain(name: str, tmp_path: Path) -> None:
    """It stands in the audit, on terminals and in pages: none passes for another."""
    with pytest.raises(RefusedRequest, match="user name"):
        plan_user(tmp_path / "users.json", name, NewUser(Role.VIEWER, PASSWORD))


@in_one_test
@pytest.mark.parametrize(
    ("new", "why"),
    [
        (NewUser(Role.VIEWER, "short"), "15 to 1024"),
        (NewUser(Role.VIEWER, "x" * 1025), "15 to 1024"),
        (NewUser(Role.VIEWER, PASSWORD, ("",)), "known_as"),
        (NewUser(Role.VIEWER, PASSWORD, ("x",) * 17), "known_as"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(new: NewUser, why: str, tmp_path: Path) -> None:
    """The answer names what is wrong, and shows no password."""
    with pytest.raises(RefusedRequest, match=why) as refused:
        plan_user(tmp_path / "users.json", "olga", new)
    assert new.password not in str(refused.value)
    assert new.password not in repr(new)
    assert not list(tmp_path.iterdir())


def test_who_is_there_already_is_only_replaced_on_purpose(tmp_path: Path) -> None:
    """A typo must not give somebody else's account a new password."""
    file = users_file(tmp_path, olga={"role": "viewer", "password": HASH, "since": "2026-11-27T00:00:00Z"})
    with pytest.raises(RefusedRequest, match="already"):
        plan_user(file, "olga", NewUser(Role.VIEWER, PASSWORD))
    with pytest.raises(RefusedRequest, match="no user boris"):
        plan_user(file, "boris", NewUser(Role.VIEWER, PASSWORD), replaces=True)
    with pytest.raises(RefusedRequest, match="no user boris"):
        plan_removal(file, "boris")
    assert [each.name for each in list_users(file)] == ["olga"]


@in_one_test
@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"users": {"a b": {}}}', '{"users": {"olga": {"role": "root"}}}', "\ufeff{}", "nul"],
)
def test_a_file_that_is_none_is_named_and_not_shown(content: str, tmp_path: Path) -> None:
    """So is one with an unknown role, or a password that is no hash."""
    (tmp_path / "users.json").write_text(content)
    (tmp_path / "users.json").chmod(0o600)
    with pytest.raises(UsersFileError, match=r"users\.json"):
        read_users(tmp_path / "users.json")


def test_a_file_that_others_can_read_is_refused_and_none_is_nobody(tmp_path: Path) -> None:
    """Hashes can be tried at leisure by whoever has them."""
    assert read_users(tmp_path / "users.json") == {}
    file = users_file(tmp_path)
    file.chmod(0o640)
    with pytest.raises(UsersFileError, match="0600"):
        read_users(file)
