"""Who else worked on the machine during a run: figures measured beside somebody else's tests are worth little."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.resources import cpu_seconds

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_IDLE, _IOWAIT, _GUEST = 3, 4, 8  # columns of /proc/stat; what a guest used is in the user column already


class OtherWork:
    """Watches from its making on; *leaders* are our own servers, which live longer than the watch.

    What a killed worker's own children used is nobody's in this account and passes for others': a few per cent.
    """

    def __init__(self, leaders: Sequence[int]) -> None:
        self._leaders = leaders
        self._since, self._before = time.monotonic(), self._others()

    def percent(self) -> float:
        """What others, and the host, took of all cores so far."""
        offered = (time.monotonic() - self._since) * (os.cpu_count() or 1)
        return max(0.0, (self._others() - self._before) / offered * 100)

    def _others(self) -> float:
        ours = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return _busy() - sum(used.ru_utime + used.ru_stime for used in ours) - cpu_seconds(self._leaders)


def _busy() -> float:
    """CPU seconds of all cores that were not idle, stolen ones included."""
    columns = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(columns[:_GUEST]) - columns[_IDLE] - columns[_IOWAIT]) / _TICKS
