"""Log levels follow the configuration file while the process runs."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from worker.observability import logs
from worker.settings import Settings, SettingsError
from worker.settings.files import Mark, config_file, marks

logger = logging.getLogger(__name__)

CHECK_INTERVAL: Final = 1.0  # seconds between two looks at the file


class LevelsWatch:
    """Looks at the configuration file in a thread of its own, for a process that watches no settings otherwise."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._read = self._seen = _found()
        self._stop = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look until the end of the block."""
        threading.Thread(target=self._keep, name="log levels", daemon=True).start()
        try:
            yield
        finally:
            self._stop.set()

    def look(self) -> None:
        """Take up the levels of a file that has changed. What changed since the last look may be half written."""
        found = _found()
        is_still, self._seen = found == self._seen, found
        if not is_still or found == self._read:
            return
        self._read = found
        try:
            settings = Settings.load()
        except SettingsError as error:
            logger.error("settings.refused", extra={"error": str(error)})  # noqa: TRY400 - no bug to trace
        else:
            logs.take_up(self._settings, settings)
            self._settings = settings

    def _keep(self) -> None:
        while not self._stop.wait(CHECK_INTERVAL):
            self.look()


def _found() -> list[Mark]:
    file = config_file()
    return marks([file] if file else [])
