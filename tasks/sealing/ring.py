"""The key ring: several private keys side by side, so that keys can be rotated without losing a message."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from pydantic import SecretStr

from tasks.sealing.envelope import read_envelope
from tasks.sealing.jwe import unseal
from tasks.sealing.keys import (
    SUFFIX,
    SealError,
    SealingKey,
    SealProblem,
    UnknownKeyError,
    algorithm_of,
    check_private,
    read_keys,
)


class Unsealer(Protocol):
    """Opens sealed credentials for provider calls."""

    def open(self, jwe: str, audience: str) -> SecretStr:
        """Return the token sealed in *jwe* for the provider instance *audience*; SealError otherwise."""


class KeyRing:
    """Private keys by their kid: an old key serves until no message needs it any more.

    *reload* reads all keys anew. Opening reads no file, so unknown kids cost nothing.
    Raises SealError for a key without a kid, with a kid twice, without its private half, or of a weak kind.
    """

    def __init__(self, keys: Iterable[SealingKey], reload: Callable[[], Iterable[SealingKey]] | None = None) -> None:
        self._keys = _by_kid(keys)
        self._reload = reload
        self._used: set[str] = set()

    @property
    def kids(self) -> tuple[str, ...]:
        """The key ids that can be opened now, in order."""
        return tuple(sorted(self._keys))

    def open(self, jwe: str, audience: str) -> SecretStr:
        """Return the token sealed in *jwe* for the provider instance *audience*.

        Raises UnknownKeyError, or SealError: nothing of the token is in it, its chain or the frames of its traceback.
        """
        envelope = read_envelope(jwe)
        key = self._key_of(envelope.header)
        token, objection = unseal(envelope, key, audience)
        if objection:
            raise objection
        self._used.add(str(key.kid))
        return token

    def reload(self) -> bool:
        """Read the keys anew, from any thread; whether they changed. SealError for an unfit one leaves the old ones."""
        before = self.kids
        if self._reload is not None:
            self._keys = _by_kid(self._reload())
        return self.kids != before

    def take_used(self) -> set[str]:
        """Return the ids of the keys that opened something since the last time."""
        used, self._used = self._used, set()
        return used

    def _key_of(self, header: dict[str, Any]) -> SealingKey:
        kid = header["kid"]
        key = self._keys.get(kid)
        if key is None:
            raise UnknownKeyError
        if algorithm_of(key) != header["alg"]:
            raise SealError("the sealed credential's alg is not that of the key it names", SealProblem.ALGORITHM)
        if header.get("epk", {}).get("crv") != key.get("crv"):
            sentence = "the sealed credential's epk is not on the curve of the key it names"
            raise SealError(sentence, SealProblem.HEADER)
        return key


def load_keys(folder: Path) -> KeyRing:
    """Load the keys of *folder*, which `reload` reads again. Raises SealError for an unfit file or an empty folder."""

    def read() -> list[SealingKey]:
        if keys := read_keys(folder):
            return keys
        raise SealError(f"the key folder {folder.name} holds no *{SUFFIX} file")

    return KeyRing(read(), reload=read)


def _by_kid(keys: Iterable[SealingKey]) -> dict[str, SealingKey]:
    ring: dict[str, SealingKey] = {}
    for key in keys:
        check_private(key)
        if ring.setdefault(str(key.kid), key) is not key:
            raise SealError("two keys of the key ring have the same kid")
    return ring
