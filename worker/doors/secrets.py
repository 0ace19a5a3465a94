"""Files that senders are proved by, read again when they change, so that a rotation needs no restart."""

import logging
from pathlib import Path
from typing import Final

from worker.settings.files import UnfitFileError, marks, read_secret

logger = logging.getLogger(__name__)

MIN_SECRET: Final = 16  # characters: what is shorter can be guessed


class SecretLines:
    """The secrets in a file, one a line: the new one beside the old one while a sender changes over.

    A file that cannot serve, at the start or later, proves nobody; an error is logged, once for each change.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks: object = None
        self._secrets: tuple[bytes, ...] = ()

    def now(self) -> tuple[bytes, ...]:
        """Return those in force."""
        if (seen := marks([self._path])) != self._marks:
            self._marks, self._secrets = seen, self._read()
        return self._secrets

    def _read(self) -> tuple[bytes, ...]:
        try:
            lines = [line.strip() for line in read_secret(self._path).splitlines() if line.strip()]
        except UnfitFileError as fault:
            logger.error("door.secret_unreadable", extra={"file": self._path.name, "error": str(fault)})  # noqa: TRY400 - its text says all
            return ()
        if any(len(line) < MIN_SECRET for line in lines):
            short = f"holds a secret of fewer than {MIN_SECRET} characters"
            logger.error("door.secret_unreadable", extra={"file": self._path.name, "error": short})
            return ()
        return tuple(line.encode() for line in lines)
