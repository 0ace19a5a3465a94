"""A clock that jumps: faketime for the processes of one scenario, the machine's own clock untouched.

https://github.com/wolfcw/libfaketime: with a timestamp file and no cache, a running process sees each change at once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from servers import ServerMissingError

_PLACES: Final = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")


# Its clock_nanosleep, which time.sleep of Python 3.11 and later calls with an absolute monotonic time, fails with
# EINVAL where monotonic clocks are left alone (libfaketime 0.9.10). select() sleeps as long, and works.
_SLEEP: Final = "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], seconds) and None\n"


class Clock:
    """The time of day as processes started with `env` see it. Monotonic clocks go on as they are."""

    def __init__(self, home: Path) -> None:
        """Raises ServerMissingError where libfaketime is not installed."""
        found = [path for place in _PLACES for path in Path("/").glob(place[1:])]
        if not found:
            raise ServerMissingError("libfaketime is not installed: run .ci/install-servers (package faketime)")
        self._file = home / "faketime"
        self._library = found[0]
        self._python = home / "faketime-python"
        self._python.mkdir()
        (self._python / "sitecustomize.py").write_text(_SLEEP)
        self.jump(0)

    def jump(self, seconds: float) -> None:
        """Be so many seconds ahead of the machine's clock from now on; negative: behind it."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+f}\n")
        new.rename(self._file)  # a reader sees the old time or the new one, never half a line

    @property
    def env(self) -> Mapping[str, str]:
        """The environment that puts a process under this clock."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": str(self._python),
        }
