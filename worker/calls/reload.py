"""Noticing that a secret was replaced: files are looked at once a second, and read when they have changed."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from tasks.sealing import KeyRing, SealError
from tasks.sealing.keys import SUFFIX
from worker.settings import Settings, SettingsError
from worker.settings.files import SECRETS_DIR, Mark, config_file, marks

logger = logging.getLogger(__name__)

CHECK_INTERVAL: Final = 1.0  # seconds between two looks at the files

TakeUp = Callable[[Settings], Awaitable[None]]


class SecretsWatch:
    """Keeps the key ring as its folder is, and calls *take_up* with new settings.

    *also* returns the files whose content the settings stand for: certificates and their keys. What is ill-formed is
    refused in one line that names the setting, and what was in force stays. Files are read in a thread: no call waits
    for a disk.
    """

    def __init__(self, keys_dir: Path, ring: KeyRing, take_up: TakeUp, also: Callable[[], Iterable[Path]]) -> None:
        self._keys_dir, self._ring, self._take_up, self._also = keys_dir, ring, take_up, also
        self._seen: list[Mark] | None = None
        self._read: list[Mark] | None = None  # a change between the start of the process and the first look counts

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            try:
                await self.look()
            except Exception:
                logger.exception("settings.fault")  # a bug; what is in force stays

    async def look(self) -> None:
        """Take up what has changed. What changed since the last look is left alone: it may be half written."""
        found = await asyncio.to_thread(marks, [*_files(self._keys_dir), *self._also()])
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


def _files(keys_dir: Path) -> Iterator[Path]:
    if config := config_file():
        yield config
    yield from sorted(keys_dir.glob(f"*{SUFFIX}"))
    if folder := os.environ.get(SECRETS_DIR):
        yield from sorted(Path(folder).glob("*"))
