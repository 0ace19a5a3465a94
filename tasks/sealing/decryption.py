"""Opening a compact JWE with `cryptography` alone: joserfc's general way through its registries costs as much again.

For the two algorithms of the allow-list only (RFC 7518 sections 4.3, 4.6 and 5.3); joserfc still makes the envelopes,
and a second library opens them in the tests.
"""

from __future__ import annotations

import hashlib
import json
import struct
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

if TYPE_CHECKING:
    from tasks.sealing.keys import SealingKey

KEY_BYTES: Final = 32
IV_BYTES: Final = 12
TAG_BYTES: Final = 16

# RFC 7518 section 4.6.2, with neither apu nor apv: AlgorithmID, PartyUInfo, PartyVInfo, SuppPubInfo.
_OTHER_INFO: Final = b"".join(struct.pack(">I", len(part)) + part for part in (b"ECDH-ES+A256KW", b"", b""))
_KEY_DATA_LENGTH: Final = struct.pack(">I", KEY_BYTES * 8)
_OAEP: Final = padding.OAEP(padding.MGF1(SHA256()), SHA256(), label=None)


def decrypted(compact: str, key: SealingKey) -> bytes:
    """The plaintext of *compact*, whose header was checked before. Raises whatever the cryptography raises."""
    protected, *rest = compact.split(".")
    encrypted_key, iv, ciphertext, tag = map(_bytes, rest)
    header = json.loads(_bytes(protected))
    content_key = _content_key(header, encrypted_key, key.private_key)
    if (len(content_key), len(iv), len(tag)) != (KEY_BYTES, IV_BYTES, TAG_BYTES):
        raise ValueError("a part of the envelope has another length than its algorithm gives it")
    return AESGCM(content_key).decrypt(iv, ciphertext + tag, protected.encode())


def _content_key(header: dict[str, Any], encrypted_key: bytes, private_key: Any) -> bytes:  # noqa: ANN401 - of either kind
    if "epk" not in header:
        return bytes(private_key.decrypt(encrypted_key, _OAEP))
    x, y = (int.from_bytes(_bytes(header["epk"][name]), "big") for name in ("x", "y"))
    shared = private_key.exchange(ec.ECDH(), ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
    wrapping = hashlib.sha256(b"\0\0\0\1" + shared + _OTHER_INFO + _KEY_DATA_LENGTH).digest()  # Concat KDF, one round
    return aes_key_unwrap(wrapping, encrypted_key)


def _bytes(segment: str) -> bytes:
    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
