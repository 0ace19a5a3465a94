"""Names of people in addresses: sealed, so that no proxy, history or pasted link tells whom somebody looked for.

The same name is the same text, so that a link stays a link. Whoever has the installation's subject key can open it.
"""

import base64
import binascii
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from worker.settings import Settings

_LABEL: Final = b"revoker console names"
_KEY_SIZE: Final = 64  # bytes: AES-256 twice (RFC 5297)
_TAG_SIZE: Final = 16  # bytes


class Names:
    """Seals and opens names."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESSIV(HKDF(SHA256(), _KEY_SIZE, None, _LABEL).derive(secret))

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of *settings*."""
        return cls(settings.subject_key.get_secret_value().encode())

    def sealed(self, name: str) -> str:
        """Return *name*, not empty, as an address may show it."""
        return base64.urlsafe_b64encode(self._cipher.encrypt(name.encode(), None)).decode().rstrip("=")

    def opened(self, text: str) -> str | None:
        """Return the name that was sealed as *text*; None where none was."""
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return self._cipher.decrypt(sealed, None).decode() if len(sealed) > _TAG_SIZE else None
        except (InvalidTag, binascii.Error, ValueError):
            return None
