"""Detached signatures of events: a JWS (RFC 7515, appendix F) over the exact bytes of a body, in one header.

Ed25519 (as `EdDSA`, RFC 8037, or `Ed25519`, RFC 9864) and HS256, each with its own kind of key and no other, so that
nobody's public key is ever taken for a shared secret. The protected header is `alg` and `kid`: no `crit`, so no
unencoded payload (RFC 7797), which would save a third of 64 KiB and cost producers a second way to be wrong.
"""

import hmac
import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.errors import UnsupportedKeyOperationError
from joserfc.jwk import OctKey, OKPKey

from tasks.private_files import WANTED, create_private, is_open_to_others
from tasks.sealing.envelope import base64url, base64url_decoded, json_object
from tasks.sealing.keys import KID

logger = logging.getLogger(__name__)

ALGORITHMS: Final = ("Ed25519", "HS256")
MIN_SECRET: Final = 32  # bytes of an HS256 key, RFC 7518 section 3.2
_DETACHED: Final = re.compile(r"([A-Za-z0-9_-]{1,512})\.\.([A-Za-z0-9_-]{43,128})")
_P: Final = 2**255 - 19  # the field of Curve25519
# The y of every point whose order divides 8, the cofactor: of order 4 (0), 1 (1), 2 (-1), and 8, which add up to y = 0.
_Y8: Final = 0x5FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDERS: Final = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})
_NAMES: Final = {"OKP": frozenset({"EdDSA", "Ed25519"}), "oct": frozenset({"HS256"})}

SigningKey = OKPKey | OctKey
Keys = Mapping[str, SigningKey]  # by kid


class SigningKeyError(Exception):
    """A signing key, or a file of them, does not serve. One sentence; no key material."""


def generate_signing_key(kid: str, algorithm: str = ALGORITHMS[0]) -> SigningKey:
    """Make a private key, for Ed25519 or HS256. Raises SigningKeyError for a bad kid."""
    if not KID.fullmatch(kid):
        raise SigningKeyError("a kid is 1 to 128 letters, digits, dots, dashes or underscores, and starts with no dot")
    if algorithm == "HS256":
        return OctKey.generate_key(8 * MIN_SECRET, {"kid": kid, "use": "sig", "alg": algorithm})
    return OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": algorithm})


def save_signing_key(path: Path, key: SigningKey) -> None:
    """Write the private *key* to *path*, readable by its owner alone. Raises FileExistsError: none is overwritten."""
    with os.fdopen(create_private(path), "w") as file:
        json.dump(key.as_dict(private=True), file, indent=1)


def read_signing_key(path: Path) -> SigningKey:
    """The one private key in *path*. Raises SigningKeyError, OSError."""
    keys = [key for key in _read(path) if key.is_private]
    if len(keys) != 1:
        raise SigningKeyError(f"{path.name}: holds not one private signing key")
    return keys[0]


def sign(body: bytes, key: SigningKey) -> str:
    """The detached JWS of *key* over *body*: what the header `x-revocation-signature` holds."""
    names = {"alg": "HS256" if isinstance(key, OctKey) else "EdDSA", "kid": key.kid}
    header = base64url(json.dumps(names, separators=(",", ":")).encode())
    return f"{header}..{base64url(_signature(_signed(header, body), key))}"


def is_signed(body: bytes, signature: str | None, keys: Keys) -> bool:
    """Whether *signature* is by one of *keys*, over exactly *body*. Never raises on input."""
    detached = _DETACHED.fullmatch(signature or "")
    if detached is None:
        return False
    key = _named(json_object(base64url_decoded(detached[1])), keys)
    code = base64url_decoded(detached[2])
    return key is not None and code is not None and _is_by(key, code, _signed(detached[1], body))


def _signed(header: str, body: bytes) -> bytes:
    """Return what is signed: RFC 7515 section 5.1."""
    return f"{header}.{base64url(body)}".encode()


def _signature(text: bytes, key: SigningKey) -> bytes:
    if isinstance(key, OctKey):
        return hmac.digest(key.get_op_key("sign"), text, "sha256")
    private = key.get_op_key("sign")
    assert isinstance(private, Ed25519PrivateKey), "checked when it was read"  # noqa: S101
    return private.sign(text)


def _is_by(key: SigningKey, code: bytes, text: bytes) -> bool:
    """Whether *code* is the signature or the MAC of *key* over *text*.

    OpenSSL refuses a signature whose S has a second spelling (RFC 8032 section 5.1.7); keys of small order were refused
    when their file was read.
    """
    try:
        match key.get_op_key("verify"):  # an error where the key's own key_ops forbid it
            case bytes() as secret:
                return hmac.compare_digest(hmac.digest(secret, text, "sha256"), code)
            case Ed25519PublicKey() as public:
                public.verify(code, text)
                return True
    except (InvalidSignature, UnsupportedKeyOperationError):
        pass
    return False


def _named(header: object, keys: Keys) -> SigningKey | None:
    """The key that *header* names, if it names its algorithm as well and nothing besides."""
    match header:
        case {"alg": str(algorithm), "kid": str(kid), **others} if not others and kid in keys:
            return keys[kid] if algorithm in _NAMES[keys[kid].key_type] else None
    return None


class KeyFile:
    """The keys of a source, read again when their file changes, so that rotation needs no restart.

    Raises SigningKeyError or OSError where the file cannot serve at the start. If it cannot serve later, or is gone, no
    key is in force: a key that was taken away must not prove anything. An error is logged, once for each change.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._stamped()
        self._keys = read_keys(path)

    def keys(self) -> Keys:
        """The keys in force now."""
        if self._stamp != (stamp := self._stamped()):
            self._stamp, self._keys = stamp, self._read()
        return self._keys

    def _read(self) -> Keys:
        try:
            return read_keys(self._path)
        except (SigningKeyError, OSError) as error:
            logger.error("source.keys_unreadable", extra={"file": self._path.name, "error": type(error).__name__})  # noqa: TRY400 - its text adds nothing, its trace less
            return {}

    def _stamped(self) -> tuple[int, ...] | None:
        """The state of the file, by its ctime too, which cannot be set; None where there is none."""
        try:
            it = self._path.stat()
        except OSError:
            return None
        return it.st_dev, it.st_ino, it.st_size, it.st_mtime_ns, it.st_ctime_ns


def read_keys(path: Path) -> Keys:
    """The keys that signatures are checked with: a JWK Set, or one JWK, of public Ed25519 keys and HS256 secrets.

    Raises SigningKeyError for a private Ed25519 key, a secret that others may read, a kid twice, and OSError.
    """
    keys = _read(path)
    if any(isinstance(key, OKPKey) and key.is_private for key in keys):
        raise SigningKeyError(f"{path.name}: holds a private key, which is the producer's alone")
    by_kid = {str(key.kid): key for key in keys}
    if not keys or len(by_kid) < len(keys):
        raise SigningKeyError(f"{path.name}: holds no key, or two of the same kid")
    return by_kid


def _read(path: Path) -> list[SigningKey]:
    with path.open("rb") as file:
        status, keys = os.fstat(file.fileno()), _imported(file.read())
    if keys is None:
        raise SigningKeyError(f"{path.name}: not a JWK Set of Ed25519 and HS256 keys, each with its kid")
    if is_open_to_others(path, status) and any(key.is_private for key in keys):
        raise SigningKeyError(f"{path.name}: holds a secret and is open to others; {WANTED}")
    for key in keys:
        if isinstance(key, OKPKey) and _is_of_small_order(key):
            raise SigningKeyError(f"{path.name}: the key {key.kid} fits any signature (a point of small order)")
    return keys


def _imported(content: bytes) -> list[SigningKey] | None:
    """The keys, None where one does not serve: a value, since an exception's traceback would hold the content."""
    try:
        document: Any = json.loads(content)
        return [_key(each) for each in document.get("keys", [document])]
    except Exception:  # noqa: BLE001 - whatever a broken file provokes in the library is one answer outside
        return None


def _key(jwk: Mapping[str, Any]) -> SigningKey:
    if jwk.get("alg") not in {None, *_NAMES[jwk["kty"]]} or jwk.get("use", "sig") != "sig":
        raise ValueError("of another algorithm or use")
    key = (OctKey if jwk["kty"] == "oct" else OKPKey).import_key({n: jwk[n] for n in jwk if n not in {"alg", "use"}})
    fits = len(key.raw_value) >= MIN_SECRET if isinstance(key, OctKey) else key.curve_name == "Ed25519"
    if not fits or not KID.fullmatch(jwk["kid"]):
        raise ValueError("too short, of another curve, or without a fit kid")
    return key


def _is_of_small_order(key: OKPKey) -> bool:
    """Whether a signature for any text can be made up for *key*: the checks of RFC 8032, section 5.1.7, let it pass."""
    y = int.from_bytes(key.public_key.public_bytes_raw(), "little") & ((1 << 255) - 1)  # its highest bit is x's sign
    return y % _P in _SMALL_ORDERS
