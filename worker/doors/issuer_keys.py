"""The public keys of a door's issuer: from its file or its URL, read again in time."""

import json
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from yarl import URL

from tasks.doors.settings import KeySource
from tasks.outcome import Transient
from tasks.providers.http import Edge
from tasks.providers.provider import Request
from worker.settings.files import marks

logger = logging.getLogger(__name__)

KEYS_AGE: Final = 3600.0  # seconds that keys from a URL are believed without another look
KEYS_INTERVAL: Final = 30.0  # seconds between two looks: a forged token must not cause any
TIMEOUT: Final = 2.0  # seconds for an answer, while a sender waits
MAX_FILE: Final = 1_048_576  # bytes
_PUBLIC: Final = ("RSA", "EC", "OKP")
_OK: Final = 200


class IssuerKeys:
    """Those of one issuer. What was read last stays where it cannot be read again. On one event loop."""

    def __init__(self, source: KeySource, session: aiohttp.ClientSession) -> None:
        self._source, self._edge = source, Edge(session, TIMEOUT)
        self._keys: KeySet | None = None
        self._looked = -KEYS_AGE
        self._marks: object = None
        self.read_at: datetime | None = None

    async def now(self, *, anew: bool = False) -> KeySet | None:
        """Return them; *anew*: one is missed. None where they were never read."""
        if self._source.jwks_file:
            self._read_file()
        elif time.monotonic() - self._looked >= (KEYS_INTERVAL if anew or self._keys is None else KEYS_AGE):
            self._looked = time.monotonic()
            await self._ask()
        return self._keys

    def _read_file(self) -> None:
        path = self._source.jwks_file
        if path is None or (seen := marks([path])) == self._marks:
            return
        self._marks = seen
        try:
            document = json.loads(path.read_bytes()) if path.stat().st_size <= MAX_FILE else None
        except (OSError, ValueError, RecursionError):
            document = None
        self._use(document, path.name)

    async def _ask(self) -> None:
        url = URL(str(self._source.jwks_uri), encoded=True)
        answer = await self._edge.send(
            Request("GET", url, {"Accept": "application/json"}), self._edge.deadline(), "login"
        )
        is_there = not isinstance(answer, Transient) and answer.status == _OK
        self._use(answer.document() if is_there and not isinstance(answer, Transient) else None, str(url.host))

    def _use(self, document: object, where: str) -> None:
        keys = _key_set(document)
        if keys is None:
            logger.error("door.keys_unreadable", extra={"where": where})
        else:
            self._keys, self.read_at = keys, datetime.now(UTC)


def _key_set(document: object) -> KeySet | None:
    """Return the keys in *document* that have a public half and sign; None where there is none."""
    keys = document.get("keys") if isinstance(document, Mapping) else None
    fit: list[Any] = [each for each in keys if _is_public(each)] if isinstance(keys, list) else []
    try:
        return KeySet.import_key_set({"keys": fit}) if fit else None
    except (JoseError, ValueError, TypeError):
        return None


def _is_public(key: object) -> bool:
    return isinstance(key, dict) and key.get("kty") in _PUBLIC and key.get("use", "sig") == "sig"
