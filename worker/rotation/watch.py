"""Noticing that a secret was replaced: files are looked at once a second, and read when they have changed."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from tasks.sealing import KeyRing, SealError
from tasks.sealing.keys import SUFFIX
from worker.settings import SECRETS_DIR, Settings, SettingsError, config_file

logger = logging.getLogger(__name__)

PERIOD: Final = 1.0  # seconds between two looks

Mark = tuple[str, int, int, int, int]


class Watch:
    """Keeps the key ring as its folder is, and tells *take_up* of new settings.

    What is ill-formed is refused in one line that names the setting, and what was in force stays. All reading is done
    in a thread: no call waits for a disk.
    """

    def __init__(self, keys_dir: Path, ring: KeyRing, take_up: Callable[[Settings], Awaitable[None]]) -> None:
        self._keys_dir, self._ring, self._take_up = keys_dir, ring, take_up
        self._seen: list[Mark] | None = None
        self._read: list[Mark] | None = (
            None  # None: a change between the start of the process and the first look counts
        )

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(PERIOD)
            try:
                await self.look()
            except Exception:
                logger.exception("settings.fault")  # a bug; what is in force stays

    async def look(self) -> None:
        """Take up what has changed. What changed since the last look is left alone: it may be half written."""
        found = await asyncio.to_thread(_marks, self._keys_dir)
        is_still, self._seen = found == self._seen, found
        if is_still and found != self._read:
            self._read = found
            await self._take_up_keys()
            await self._take_up_settings()

    async def _take_up_keys(self) -> None:
        try:
            if await asyncio.to_thread(self._ring.reload):
                logger.warning("keys.replaced", extra={"kids": self._ring.kids})
        except (SealError, OSError) as error:
            logger.error("settings.refused", extra={"error": f"keys_dir: {error}"})  # noqa: TRY400 - no bug to trace

    async def _take_up_settings(self) -> None:
        try:
            settings = await asyncio.to_thread(Settings.load)
        except SettingsError as error:
            logger.error("settings.refused", extra={"error": str(error)})  # noqa: TRY400 - no bug to trace
        else:
            await self._take_up(settings)


def _marks(keys_dir: Path) -> list[Mark]:
    """What tells one state of all the files from another. ctime: a mode set right and a file moved count as well."""
    return [mark for path in _files(keys_dir) for mark in _mark(path)]


def _files(keys_dir: Path) -> Iterator[Path]:
    if config := config_file():
        yield config
    yield from sorted(keys_dir.glob(f"*{SUFFIX}"))
    if folder := os.environ.get(SECRETS_DIR):
        yield from sorted(Path(folder).glob("*"))


def _mark(path: Path) -> Iterator[Mark]:
    with suppress(OSError):  # gone meanwhile: as if it had never been there
        it = path.stat()
        yield str(path), it.st_ino, it.st_size, it.st_mtime_ns, it.st_ctime_ns
