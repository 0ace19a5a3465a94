"""The journal: what the providers saw, in the order they saw it, without any token."""

import itertools
import json
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One request. *key* is a token's or reference's SHA-256, or a plain user id; *status* is None for a reset."""

    n: int
    at: float  # seconds since the epoch, on arrival
    provider: str
    operation: str
    key: str
    request_id: str
    status: int | None
    revoked: bool  # this request killed something live
    fault: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the entry with its time as RFC 3339 in UTC."""
        members = {name: getattr(self, name) for name in self.__slots__}
        return members | {"at": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="microseconds")}


class Journal:
    """The newest *entries* requests in memory (about 0.5 KB each), and all of them in *path* where one is given.

    Numbers go up by one and start at 1, also after `clear`: a gap after `since` means that older ones were forgotten.
    """

    def __init__(self, entries: int, path: Path | None = None) -> None:
        self._entries: deque[JournalEntry] = deque(maxlen=entries)
        self._numbers = itertools.count(1)
        self._file: IO[str] | None = path.open("a", buffering=1) if path else None  # a line is with the system at once

    def add(self, request: tuple[str, str, str, str], *, status: int | None, revoked: bool, fault: str | None) -> None:
        """Write a request down, in the moment it is decided: its provider, operation, key and id, and its answer."""
        entry = JournalEntry(next(self._numbers), time.time(), *request, status=status, revoked=revoked, fault=fault)
        self._entries.append(entry)
        if self._file:
            self._file.write(json.dumps(entry.as_json()) + "\n")

    def since(self, n: int, limit: int | None = None) -> list[JournalEntry]:
        """Return the entries after number *n*, at most *limit* of them, oldest first."""
        first = self._entries[0].n if self._entries else 1
        start = max(0, n + 1 - first)
        return list(itertools.islice(self._entries, start, None if limit is None else start + limit))

    def clear(self) -> None:
        """Forget what is in memory; the file stays."""
        self._entries.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
