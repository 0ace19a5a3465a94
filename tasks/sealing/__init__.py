"""Sealed credentials: a token travels as a compact JWE (RFC 7516) for one provider, and only we can open it."""

from tasks.sealing.envelope import ENCRYPTION, is_canonical_compact, seal
from tasks.sealing.keys import ALGORITHMS, SealError, SealingKey, generate_key, save_key
from tasks.sealing.ring import KeyRing, Opener, load_keys

__all__ = [
    "ALGORITHMS",
    "ENCRYPTION",
    "KeyRing",
    "Opener",
    "SealError",
    "SealingKey",
    "generate_key",
    "is_canonical_compact",
    "load_keys",
    "save_key",
    "seal",
]
