"""Sealing keys: which kinds serve, how one is made, and the private files (RFC 7517) they are kept in."""

import json
import os
import re
import tempfile
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeGuard

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from joserfc.jwk import ECKey, Key, KeyParameters, OKPKey, RSAKey, import_key

from tasks.private_files import is_open_to_others

ALGORITHMS: Final = ("ECDH-ES+A256KW", "RSA-OAEP-256")
CURVES: Final = ("X25519", "P-256")  # of a key for the first algorithm; a new key is on the first of them
MIN_RSA_BITS: Final = 2048  # RFC 7518 section 4.3
SUFFIX: Final = ".jwk.json"
KID: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")  # it is also the name of a file

SealingKey = OKPKey | ECKey | RSAKey


class SealProblem(StrEnum):
    """Why a credential cannot be opened: stable names, shown to operators and counted."""

    FORM = "form"  # no compact JWE, or too long
    HEADER = "header"  # not a small JSON object of the allowed members
    ALGORITHM = "algorithm"  # alg or enc is not allowed, or not that of the key
    UNKNOWN_KEY = "unknown_key"
    TAMPERED = "tampered"  # it does not decrypt: changed on its way, or sealed with another key of that name
    CONTENT = "content"  # what it holds is not exactly an aud and a token
    OTHER_PROVIDER = "other_provider"
    UNFIT = "unfit"  # a key or a file, not a credential


class SealError(Exception):
    """A credential cannot be sealed or opened, or a key is unfit. One sentence; no value, no key material."""

    def __init__(self, sentence: str, problem: SealProblem = SealProblem.UNFIT) -> None:
        super().__init__(sentence)
        self.problem = problem


class UnknownKeyError(SealError):
    """The key that a credential is sealed for is not in the key ring, and may be put there any moment."""

    def __init__(self) -> None:
        super().__init__("the sealed credential names a key that is not in the key ring", SealProblem.UNKNOWN_KEY)


def generate_key(kid: str, algorithm: str = ALGORITHMS[0], curve: str | None = None) -> SealingKey:
    """Make a private key: on *curve* (None: X25519), or of RSA with 3072 bits. Raises SealError for anything else."""
    if not KID.fullmatch(kid):
        raise SealError("a kid is 1 to 128 letters, digits, dots, dashes or underscores, and starts with no dot")
    parameters: KeyParameters = {"kid": kid, "use": "enc", "alg": algorithm}
    match algorithm, curve:
        case "ECDH-ES+A256KW", None | "X25519":
            return OKPKey.generate_key("X25519", parameters)
        case "ECDH-ES+A256KW", "P-256":
            return ECKey.generate_key("P-256", parameters)
        case "RSA-OAEP-256", None:
            return RSAKey.generate_key(3072, parameters)
        case _:
            raise SealError("a sealing key is for ECDH-ES+A256KW on X25519 or P-256, or for RSA-OAEP-256")


def algorithm_of(key: SealingKey) -> str:
    """Return the one JWE alg that *key* serves for. Raises SealError for another kind of key or an unfit kid."""
    match key:
        case OKPKey() | ECKey() if key.curve_name in CURVES:
            algorithm = "ECDH-ES+A256KW"
        case RSAKey() if key.public_key.key_size >= MIN_RSA_BITS:
            algorithm = "RSA-OAEP-256"
        case _:
            raise SealError("a sealing key is on X25519 or P-256, or an RSA key of at least 2048 bits")
    if (key.alg or algorithm) != algorithm or key.get("use", "enc") != "enc":
        raise SealError(f"the sealing key's own alg or use forbids {algorithm}")
    if not isinstance(key.kid, str) or not KID.fullmatch(key.kid):
        raise SealError("the sealing key has no fit kid")
    return algorithm


def check_private(key: SealingKey) -> None:
    """Raise SealError unless *key* is a private key that serves for one of our algorithms."""
    algorithm_of(key)
    if not key.is_private:
        raise SealError("the sealing key is not a private key")


def read_keys(folder: Path) -> list[SealingKey]:
    """Read the private keys `*.jwk.json` of *folder*. Raises SealError, which names the file, for an unfit one."""
    return [_read_key(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]


def save_key(folder: Path, key: SealingKey) -> Path:
    """Write the private *key* to `<kid>.jwk.json`, readable by its owner alone, and return the path.

    The file appears whole or not at all. Raises SealError where one of that name exists: a key is never overwritten.
    """
    check_private(key)
    path = folder / f"{key.kid}{SUFFIX}"
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".", suffix=".part") as part:  # made with mode 0600
        json.dump(key.as_dict(private=True), part, indent=1)
        part.flush()
        os.fsync(part.fileno())
        try:
            path.hardlink_to(part.name)
        except FileExistsError:
            raise SealError(f"the key file {path.name} exists already") from None
    return path


def public_jwks(keys: Iterable[SealingKey]) -> dict[str, Any]:
    """Return the public halves as a JWK Set (RFC 7517 section 5), in the order of *keys*: producers take the first."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def imported_keys(content: bytes, *, is_set: bool) -> list[SealingKey] | None:
    """Return the X25519, EC and RSA keys of a JWK, or of a JWK Set; None where something in it is no usable JWK.

    None is a value and not an exception, whose traceback would hold the content.
    """
    try:
        document: Any = json.loads(content)
        keys = [import_key(dict(each)) for each in (document["keys"] if is_set else [document])]
        return [key for key in keys if _is_sealing_key(key)]
    except Exception:  # noqa: BLE001 - whatever a broken file provokes in the library is one answer outside
        return None


def _is_sealing_key(key: Key) -> TypeGuard[SealingKey]:
    if isinstance(key, OKPKey) and isinstance(key.public_key, X25519PublicKey):
        _check_point(key, key.public_key)
        return True
    return isinstance(key, ECKey | RSAKey)


def _check_point(key: OKPKey, point: X25519PublicKey) -> None:
    """Raise ValueError for a point of small order, and for an `x` that does not belong to the private half.

    What is sealed with such a key could be opened by everybody, or by nobody.
    """
    X25519PrivateKey.generate().exchange(point)  # raises: a point of small order makes all secrets zeros
    if key["x"] != OKPKey.import_key(point)["x"]:
        raise ValueError("the public half is of another key")


def _read_key(path: Path) -> SealingKey:
    with path.open("rb") as file:
        if is_open_to_others(path, os.fstat(file.fileno())):
            raise SealError(f"the key file {path.name} may be read by others than its owner (wanted: mode 0600)")
        keys = imported_keys(file.read(), is_set=False)
    if not keys:
        raise SealError(f"the key file {path.name} holds no X25519, EC or RSA key as a JWK")
    try:
        check_private(keys[0])
    except SealError as error:
        raise SealError(f"the key file {path.name} does not serve: {error}") from None
    return keys[0]
