"""Files of secrets: for their owner alone, or handed over to this process alone; one rule for every kind of them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from certificates import Authority
from joserfc.jwk import OctKey
from starting import secret

from tasks.private_files import is_open_to_others
from tasks.sealing import SealError, generate_key, load_keys, save_key
from tasks.tls import TlsSettings
from worker.intake.signing import SigningKeyError, generate_signing_key, read_keys, save_signing_key
from worker.settings.files import SecretFiles


def status(mode: int, owner: int) -> os.stat_result:
    """The state of a regular file."""
    return os.stat_result((0o100_000 | mode, 1, 1, 1, owner, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o200])
@pytest.mark.parametrize("owner", [0, 1000])
def test_a_file_for_its_owner_alone_is_private(mode: int, owner: int) -> None:
    """Whoever owns it: who can read it is its owner, or root."""
    assert not is_open_to_others(Path("secret"), status(mode, owner))


@pytest.mark.parametrize(
    ("owner", "process", "is_open"), [(0, 1000, False), (0, 0, True), (1000, 1000, True), (1000, 0, True)]
)
def test_0440_is_private_where_root_wrote_it_for_another(
    monkeypatch: pytest.MonkeyPatch, owner: int, process: int, *, is_open: bool
) -> None:
    """As a pod with `fsGroup` gets it."""
    monkeypatch.setattr(os, "geteuid", lambda: process)
    assert is_open_to_others(Path("secret"), status(0o440, owner)) is is_open


@pytest.mark.parametrize("mode", [0o640, 0o444, 0o604, 0o660, 0o644, 0o540, 0o450, 0o441, 0o404])
def test_any_other_mode_is_open_whoever_wrote_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int) -> None:
    """Inside the folder of credentials as well."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert is_open_to_others(tmp_path / "secret", status(mode, 0))


def secret_file(folder: Path) -> Path:
    """A secret in a file of its own."""
    return secret(folder, "subject_key", "x" * 32)


def hs256_set(folder: Path) -> Path:
    """A file with a shared secret."""
    key = generate_signing_key("hs", "HS256")
    assert isinstance(key, OctKey)
    save_signing_key(folder / "hs.jwk", key)
    return folder / "hs.jwk"


def take_secret(path: Path) -> None:
    """Read it as settings do."""
    if faults := SecretFiles.read(path.parent).faults:
        raise ValueError(faults[0])


READERS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object]]] = {
    "secret": (secret_file, take_secret),
    "tls.key_file": (
        lambda folder: Authority(folder / "authority").issue("worker"),
        lambda path: TlsSettings(certificate_file=path, key_file=path),
    ),
    "sealing key": (lambda folder: save_key(folder, generate_key("k")), lambda path: load_keys(path.parent)),
    "HS256 set": (hs256_set, read_keys),
}


@pytest.mark.parametrize(("make", "read"), READERS.values(), ids=READERS)
def test_every_reader_of_secrets_takes_0440_from_the_folder_of_credentials_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: Callable[[Path], Path], read: Callable[[Path], object]
) -> None:
    """A systemd unit gets them there; elsewhere 0440 of our own, and there 0640, are open."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)  # nothing is root's for us
    path = make(tmp_path)
    path.chmod(0o440)
    with pytest.raises((ValueError, SealError, SigningKeyError), match=r"0600"):
        read(path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(path.parent))
    read(path)
    path.chmod(0o640)
    with pytest.raises((ValueError, SealError, SigningKeyError), match=r"0600"):
        read(path)


@pytest.mark.parametrize("folder", ["", "elsewhere", "cred"])
def test_only_what_lies_in_the_folder_is_a_credential(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
) -> None:
    """A name that begins like the folder's, or no folder at all, is not enough."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", folder and str(tmp_path / folder))
    assert is_open_to_others(secret(tmp_path / "credentials", "it", "x"), status(0o440, 0))
