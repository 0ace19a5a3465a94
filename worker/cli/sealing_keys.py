"""The keys that tokens are sealed with here: the newest of our own, or one of a published key set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from joserfc.jwk import ECKey, RSAKey, import_key

from tasks.sealing import SealError, SealingKey
from tasks.sealing.keys import SUFFIX, algorithm_of, read_keys

RETIRED: Final = "retired"  # the folder below that of the keys


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A private sealing key of ours, and since when its file is there."""

    key: SealingKey
    path: Path
    created: datetime

    @property
    def kid(self) -> str:
        """Its name."""
        return str(self.key.kid)

    @property
    def is_retired(self) -> bool:
        """Whether it lies aside, where no worker reads it."""
        return self.path.parent.name == RETIRED

    @property
    def idle_since(self) -> datetime:
        """Since when it may have been without use: made, or moved aside or back (then its ctime changed)."""
        return max(self.created, datetime.fromtimestamp(self.path.stat().st_ctime, UTC))

    @property
    def algorithm(self) -> str:
        """The JWE alg it serves for."""
        return algorithm_of(self.key)

    @property
    def fingerprint(self) -> str:
        """Its thumbprint (RFC 7638): the same for the public half, so producers can compare."""
        return str(self.key.thumbprint())


def stored_keys(folder: Path) -> list[StoredKey]:
    """The keys of *folder*, newest first. Raises SealError, naming the file, for one that is no fit private key."""
    keys = zip(read_keys(folder), sorted(folder.glob(f"*{SUFFIX}")), strict=True)
    stored = [StoredKey(key, path, datetime.fromtimestamp(path.stat().st_mtime, UTC)) for key, path in keys]
    return sorted(stored, key=lambda each: (each.created, each.kid), reverse=True)


def retired_keys(folder: Path) -> list[StoredKey]:
    """Those that were moved aside, newest first. Raises SealError as `stored_keys` does."""
    return stored_keys(folder / RETIRED)


def move(key: StoredKey, folder: Path) -> None:
    """Move the file of *key* to *folder*. Raises SealError where one of its name is there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        (folder / key.path.name).hardlink_to(key.path)
    except FileExistsError:
        raise SealError(f"the key file {key.path.name} exists already in {folder}") from None
    key.path.unlink()


def public_jwks(keys: Sequence[StoredKey]) -> dict[str, Any]:
    """The public halves as a JWK Set (RFC 7517 section 5): what producers seal with. Newest first: they take that."""
    return {"keys": [each.key.as_dict(private=False) for each in keys]}


def sealing_key(folder: Path, jwks: Path | None, kid: str | None) -> SealingKey:
    """The key to seal with: of the key set *jwks*, else of our own in *folder*; the one named *kid*, else the first.

    Raises SealError where there is none.
    """
    keys = _of_jwks(jwks) if jwks else [each.key for each in stored_keys(folder)]
    for key in keys:
        if kid in (None, key.kid):
            return key
    place = jwks or folder
    raise SealError(f"{place}: no key named {kid}" if kid else f"{place}: no key; `revoker keys generate` makes one")


def _of_jwks(path: Path) -> list[SealingKey]:
    try:
        keys = _imported(path.read_bytes())
    except OSError as error:
        raise SealError(f"{path}: {error.strerror}") from None
    if keys is None:
        raise SealError(f"{path}: not a JWK Set of EC and RSA keys")
    for key in keys:
        algorithm_of(key)
    return keys


def _imported(content: bytes) -> list[SealingKey] | None:
    """The keys, None for no key set: a value and not an exception, whose traceback would hold the file's content."""
    try:
        keys = [import_key(each) for each in json.loads(content)["keys"]]
    except Exception:  # noqa: BLE001 - whatever a broken file provokes in the library is one answer outside
        return None
    return [key for key in keys if isinstance(key, ECKey | RSAKey)] if keys else []
