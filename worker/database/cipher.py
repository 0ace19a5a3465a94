"""What must not be read in the database is encrypted, and found again by keyed digests.

The keys derive from that of the subject index, which every process has. The private sealing keys open tokens: the
processes that strangers send to, door and intake, do without them.
"""

import os
from hashlib import sha256
from hmac import digest
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from worker.settings import Settings

DIGEST_SIZE: Final = 32  # bytes
_NONCE: Final = 12  # bytes, of AES-GCM (NIST SP 800-38D section 8.2.2: chance, for fewer than 2^32 of them)


class UnreadableRow(Exception):  # noqa: N818 - what is the case
    """A row was encrypted with another key, or for another place."""


class RowCipher:
    """Encrypts values, each bound to its place, and makes digests to find them by."""

    def __init__(self, secret: bytes, keeper: str = "doors") -> None:
        """*keeper*: for whom the keys are; others' rows are not opened by them."""
        self._cipher = AESGCM(_derived(secret, f"revoker: encryption of what {keeper} keep"))
        self._index = _derived(secret, f"revoker: index of what {keeper} keep")

    @classmethod
    def of(cls, settings: Settings, keeper: str = "doors") -> Self:
        """Return that of an installation."""
        return cls(settings.subject_key.get_secret_value().encode(), keeper)

    def seal(self, plain: bytes, place: str) -> bytes:
        """Return *plain*, encrypted for *place*: opened for another one it is refused."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Return what was sealed for *place*. Raises UnreadableRow."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], place.encode())
        except (InvalidTag, ValueError):
            raise UnreadableRow("encrypted with another subject_key") from None

    def digest(self, value: bytes, place: str) -> bytes:
        """Return the digest by which *value* is found again at *place*."""
        return digest(self._index, sha256(place.encode()).digest() + value, "sha256")


def _derived(secret: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(secret)
