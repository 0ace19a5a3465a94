"""Private keys that sign for us at a provider, as they stand in the settings, and the algorithm of each."""

import json
from contextlib import suppress
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from tasks.sealing.keys import MIN_RSA_BITS

Key = RSAKey | ECKey | OKPKey
_UNREADABLE: Final = (ValueError, TypeError, KeyError, JoseError, UnsupportedAlgorithm)
# RFC 7518 section 3.4; RFC 9864 section 2.2
_BY_CURVE: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "Ed25519"}
ALGORITHMS: Final = ("RS256", *_BY_CURVE.values())


def of_pem(text: str, *kinds: type[Key]) -> Key | None:
    """Return the key of one of these *kinds* in *text*, PEM without a password; None where there is none."""
    for kind in kinds:
        with suppress(*_UNREADABLE):
            return kind.import_key(text)
    return None


def of_jwk(text: str) -> Key | None:
    """Return the key in *text*, a JWK; None where there is none."""
    with suppress(*_UNREADABLE):
        key = JWKRegistry.import_key(json.loads(text))
        return key if isinstance(key, Key) else None
    return None


def algorithm_of(key: Key) -> str | None:
    """Return how *key* signs; None where it does not: a public half, a curve for something else, a short RSA key."""
    if not key.is_private:
        return None
    if isinstance(key, RSAKey):
        return "RS256" if key.public_key.key_size >= MIN_RSA_BITS else None
    return _BY_CURVE.get(str(key.curve_name))
