"""The envelope: a compact JWE (RFC 7516) that is checked by allow-list before any cryptography touches it."""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from joserfc import jwe
from pydantic import SecretStr

from tasks.sealing.keys import ALGORITHMS, KID, SealError, SealingKey, SealProblem, algorithm_of
from tasks.strict_json import MalformedJsonError, decode

ENCRYPTION: Final = "A256GCM"
MAX_JWE: Final = 16 * 1024  # bytes
MAX_HEADER: Final = 1024  # characters of base64url; joserfc's own limit
MAX_TOKEN: Final = 8 * 1024  # bytes

# What RFC 7516 section 4.1 and RFC 7518 section 4.6 let an honest producer need, and nothing that names a key,
# compresses, or changes the meaning of the rest: zip, crit, jwk, jku, x5u, x5c, apu, apv, cty and p2c are refused.
_REQUIRED: Final = {
    "ECDH-ES+A256KW": {"alg", "enc", "kid", "epk"},
    "RSA-OAEP-256": {"alg", "enc", "kid"},
}
_OPTIONAL: Final = {"typ"}
_TOKEN: Final = re.compile(rf"[!-~]{{1,{MAX_TOKEN}}}")
_COMPACT: Final = re.compile(r"eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){4}")  # `{"` in base64url, five segments
_COORDINATE: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes, as RFC 7518 section 6.2.1.2 fixes it for P-256
_REGISTRY: Final = jwe.JWERegistry(algorithms=[*ALGORITHMS, ENCRYPTION])


def seal(token: str, audience: str, public_key: SealingKey) -> str:
    """*token* as a compact JWE for the provider instance *audience*, which only the holder of the key can open.

    Raises SealError for an unfit key, and for a token that is empty, longer than 8 KiB, or not printable ASCII; also
    for one of so many quotes and backslashes that its envelope would be refused on arrival.
    """
    if not _TOKEN.fullmatch(token):
        raise SealError("a token to be sealed is 1 to 8192 printable ASCII characters without white space")
    header = {"alg": algorithm_of(public_key), "enc": ENCRYPTION, "kid": public_key.kid, "typ": "JWT"}
    payload = json.dumps({"aud": audience, "token": token}, separators=(",", ":"))
    compact = jwe.encrypt_compact(header, payload, public_key, registry=_REGISTRY)
    if len(compact) > MAX_JWE:
        raise SealError("the sealed credential would be longer than 16 KiB")
    return compact


def checked_header(compact: str) -> dict[str, Any]:
    """Return the protected header of *compact*, every member of it allowed. Raises SealError for any other."""
    if len(compact) > MAX_JWE or not is_canonical_compact(compact):
        raise SealError("the sealed credential is not a compact JWE of at most 16 KiB", SealProblem.FORM)
    encoded = compact.partition(".")[0]
    header = _json_object(_decoded(encoded)) if len(encoded) <= MAX_HEADER else None
    if header is None:
        raise SealError("the sealed credential's header is not a small JSON object", SealProblem.HEADER)
    if objection := _objection_to(header):
        raise objection
    return header


def kid_of(compact: str) -> str | None:
    """The key that *compact* says it is sealed for, unchecked otherwise; None for a name that no key can have."""
    header = _json_object(_decoded(compact.partition(".")[0]))
    kid = header.get("kid") if header else None
    return kid if isinstance(kid, str) and KID.fullmatch(kid) else None


def named_kids(document: str) -> Iterator[str]:
    """The key of each sealed credential that is anywhere in *document*, be it JSON, however escaped, or other text."""
    try:
        plain = json.dumps(json.loads(document))
    except (ValueError, RecursionError):
        plain = document
    return (kid for compact in _COMPACT.findall(plain) if (kid := kid_of(compact)))


def unseal(compact: str, key: SealingKey, audience: str) -> tuple[SecretStr, SealError | None]:
    """Return the token in *compact* and an objection to it, None where the token may be used.

    The objection is returned and not raised, because a traceback would hold the plaintext. The header is to be checked
    before.
    """
    try:
        plaintext = jwe.decrypt_compact(compact, key, registry=_REGISTRY).plaintext
    except Exception:  # noqa: BLE001 - whatever a hostile envelope provokes in the library is one answer outside
        return SecretStr(""), SealError("the sealed credential cannot be decrypted", SealProblem.TAMPERED)
    match _json_object(plaintext):
        case {"aud": str(aud), "token": str(token), **others} if not others and _TOKEN.fullmatch(token):
            return SecretStr(token), None if aud == audience else _for_another_provider()
        case _:
            sentence = "the sealed credential does not hold exactly an aud and a token"
            return SecretStr(""), SealError(sentence, SealProblem.CONTENT)


def _for_another_provider() -> SealError:
    return SealError("the sealed credential is for another provider", SealProblem.OTHER_PROVIDER)


def is_canonical_compact(value: str) -> bool:
    """Whether *value* is five base64url segments that have no second spelling (RFC 4648 section 3.5).

    Decoders drop stray bits and characters silently, so a changed envelope could otherwise open like the original.
    """
    segments = value.split(".")
    return len(segments) == 5 and all(_decoded(segment) is not None for segment in segments)  # noqa: PLR2004 - RFC 7516


def _decoded(segment: str) -> bytes | None:
    try:
        raw = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == segment else None


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
    return None if "epk" not in header or _is_p256(header["epk"]) else "epk is not a public key on P-256"


def _is_p256(epk: object) -> bool:
    match epk:
        case {"kty": "EC", "crv": "P-256", "x": str(x), "y": str(y), **others}:
            return not others and bool(_COORDINATE.fullmatch(x) and _COORDINATE.fullmatch(y))
        case _:
            return False


def _json_object(raw: bytes | None) -> dict[str, Any] | None:
    try:
        value = decode(raw or b"")
    except MalformedJsonError:
        return None
    return value if isinstance(value, dict) else None
