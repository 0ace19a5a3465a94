"""Passwords of the console's local users: only what Argon2id makes of them is kept, as a PHC string."""

import os
from functools import cache
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tasks.names import composed
from worker.operations import RefusedRequest

# RFC 9106 section 4, the second recommended choice: 64 MiB, three passes, four lanes, 128 bits of salt, 256 of tag.
MEMORY: Final = 65_536  # KiB
PASSES: Final = 3
LANES: Final = 4
SALT: Final = 16  # bytes
TAG: Final = 32  # bytes

SHORTEST: Final = 15  # characters, of a password that is the only factor (NIST SP 800-63B-4 section 3.1.1.2)
LONGEST: Final = 1024  # characters
_CURRENT: Final = f"$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}$"


def require_fit(password: str) -> None:
    """Return where *password* may be set. Raises RefusedRequest."""
    if not SHORTEST <= len(composed(password)) <= LONGEST:
        raise RefusedRequest(f"a password has {SHORTEST} to {LONGEST} characters; nothing was changed")


def hashed(password: str) -> str:
    """Return the PHC string of *password*, with a salt of its own."""
    salt = os.urandom(SALT)
    maker = Argon2id(salt=salt, length=TAG, iterations=PASSES, lanes=LANES, memory_cost=MEMORY)
    return maker.derive_phc_encoded(_coded(password))


def is_right(password: str, phc: str | None) -> bool:
    """Whether *password* is that of *phc*; of nobody's (None) it is not, after the same work."""
    if len(password) > LONGEST:
        return False
    try:
        Argon2id.verify_phc_encoded(_coded(password), phc or _of_nobody())
    except (InvalidKey, ValueError):  # the latter for what is no PHC string
        return False
    return phc is not None


def is_outdated(phc: str) -> bool:
    """Whether *phc* was made with other parameters than today's."""
    return not phc.startswith(_CURRENT)


@cache
def _of_nobody() -> str:
    return hashed(os.urandom(TAG).hex())


def _coded(password: str) -> bytes:
    """One spelling for each password, however a keyboard composes it (RFC 8265 section 4.2.2)."""
    return composed(password).encode(errors="surrogatepass")
