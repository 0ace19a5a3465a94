"""The RSA keys of a cipher, as they stand in the settings."""

from typing import Any

from joserfc.jwk import RSAKey
from pydantic import SecretStr

from tasks.sealing.keys import MIN_RSA_BITS


def rsa_key(secret: SecretStr) -> RSAKey | None:
    """Return the RSA key of at least 2048 bits in a PEM, None for anything else."""
    try:
        key: Any = RSAKey.import_key(secret.get_secret_value())
    except Exception:  # noqa: BLE001 - whatever a broken PEM provokes in the library is one answer outside
        return None
    return key if key.public_key.key_size >= MIN_RSA_BITS else None
