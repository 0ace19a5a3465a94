"""Sealed credentials: a token travels as a compact JWE (RFC 7516) for one provider, and only we can open it."""

from tasks.sealing.envelope import ENCRYPTION, is_canonical_compact, kid_of, named_kids
from tasks.sealing.jwe import seal
from tasks.sealing.keys import (
    ALGORITHMS,
    CURVES,
    SealError,
    SealingKey,
    SealProblem,
    UnknownKeyError,
    generate_key,
    public_jwks,
    save_key,
)
from tasks.sealing.ring import KeyRing, Unsealer, load_keys

__all__ = [
    "ALGORITHMS",
    "CURVES",
    "ENCRYPTION",
    "KeyRing",
    "SealError",
    "SealProblem",
    "SealingKey",
    "UnknownKeyError",
    "Unsealer",
    "generate_key",
    "is_canonical_compact",
    "kid_of",
    "load_keys",
    "named_kids",
    "public_jwks",
    "save_key",
    "seal",
]
