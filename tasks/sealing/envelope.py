"""The envelope: a compact JWE (RFC 7516) that is checked by allow-list before any cryptography touches it."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tasks.sealing.keys import KID, SealError, SealProblem
from tasks.strict_json import MalformedJsonError, decode

ENCRYPTION: Final = "A256GCM"
MAX_JWE: Final = 16 * 1024  # bytes
MAX_HEADER: Final = 1024  # characters of base64url

# What RFC 7516 section 4.1 and RFC 7518 section 4.6 let an honest producer need, and nothing that names a key,
# compresses, or changes the meaning of the rest: zip, crit, jwk, jku, x5u, x5c, apu, apv, cty and p2c are refused.
_REQUIRED: Final = {
    "ECDH-ES+A256KW": {"alg", "enc", "kid", "epk"},
    "RSA-OAEP-256": {"alg", "enc", "kid"},
}
_OPTIONAL: Final = {"typ"}
_COMPACT: Final = re.compile(r"eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){4}")  # `{"` in base64url, five segments
# 32 bytes, as RFC 7518 section 6.2.1.2 fixes it for P-256 and RFC 7748 section 5 for X25519.
_COORDINATE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A compact JWE whose header was checked; nothing of it is decrypted."""

    header: dict[str, Any]
    aad: bytes  # the header as it was sent, which the tag vouches for
    encrypted_key: bytes
    iv: bytes
    ciphertext: bytes
    tag: bytes


def read_envelope(compact: str) -> Envelope:
    """Return *compact*, read; every member of its header is allowed. Raises SealError for any other."""
    segments = _segments(compact) if len(compact) <= MAX_JWE else None
    if segments is None:
        raise SealError("the sealed credential is not a compact JWE of at most 16 KiB", SealProblem.FORM)
    encoded = compact.partition(".")[0]
    header = json_object(segments[0]) if len(encoded) <= MAX_HEADER else None
    if header is None:
        raise SealError("the sealed credential's header is not a small JSON object", SealProblem.HEADER)
    if objection := _objection_to(header):
        raise objection
    return Envelope(header, encoded.encode(), *segments[1:])


def kid_of(compact: str) -> str | None:
    """The key that *compact* says it is sealed for, unchecked otherwise; None for a name that no key can have."""
    header = json_object(base64url_decoded(compact.partition(".")[0]))
    kid = header.get("kid") if header else None
    return kid if isinstance(kid, str) and KID.fullmatch(kid) else None


def named_kids(document: str) -> Iterator[str]:
    """The key of each sealed credential that is anywhere in *document*, be it JSON, however escaped, or other text."""
    try:
        plain = json.dumps(json.loads(document))
    except (ValueError, RecursionError):
        plain = document
    return (kid for compact in _COMPACT.findall(plain) if (kid := kid_of(compact)))


def is_canonical_compact(value: str) -> bool:
    """Whether *value* is five base64url segments that have no second spelling (RFC 4648 section 3.5).

    Decoders drop stray bits and characters silently, so a changed envelope could otherwise open like the original.
    """
    return _segments(value) is not None


def json_object(raw: bytes | None) -> dict[str, Any] | None:
    """Return the object that *raw* is in strict JSON, None for anything else."""
    try:
        value = decode(raw or b"")
    except MalformedJsonError:
        return None
    return value if isinstance(value, dict) else None


def base64url(raw: bytes) -> str:
    """Return *raw* in base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def base64url_decoded(text: str) -> bytes | None:
    """Return the bytes whose one spelling in base64url is *text*, None where there are none."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    return raw if base64url(raw) == text else None


def _segments(compact: str) -> list[bytes] | None:
    written = compact.split(".")
    if len(written) != 5:  # noqa: PLR2004 - RFC 7516 section 7.1
        return None
    decoded = [each for each in map(base64url_decoded, written) if each is not None]
    return decoded if len(decoded) == len(written) else None


def _objection_to(header: dict[str, Any]) -> SealError | None:
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in _REQUIRED:
        return SealError("the sealed credential's alg is not allowed", SealProblem.ALGORITHM)
    if header.get("enc") != ENCRYPTION:
        return SealError("the sealed credential's enc is not allowed", SealProblem.ALGORITHM)
    text = _objection_to_members(header, alg)
    return SealError(f"the sealed credential's {text}", SealProblem.HEADER) if text else None


def _objection_to_members(header: dict[str, Any], alg: str) -> str | None:
    if not _REQUIRED[alg] <= header.keys() <= _REQUIRED[alg] | _OPTIONAL:
        return "header lacks a required member or has one that is not allowed"
    if not isinstance(header["kid"], str) or not isinstance(header.get("typ", ""), str):
        return "kid or typ is not a string"
    if "epk" in header and not _is_public_key(header["epk"]):
        return "epk is not a public key on X25519 or P-256"
    return None


def _is_public_key(epk: object) -> bool:
    match epk:
        case {"kty": "OKP", "crv": "X25519", "x": str(x), **others}:
            return not others and bool(_COORDINATE.fullmatch(x))
        case {"kty": "EC", "crv": "P-256", "x": str(x), "y": str(y), **others}:
            return not others and bool(_COORDINATE.fullmatch(x) and _COORDINATE.fullmatch(y))
        case _:
            return False
