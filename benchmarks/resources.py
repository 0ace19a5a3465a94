"""What processes cost, from /proc: CPU time and memory of whole process trees."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
# Fields of /proc/<pid>/stat, counted from the one after the command's name; two more are those of ended children.
_PARENT: Final = 1
_SESSION: Final = 3
_USER_TIME: Final = 11
_SYSTEM_TIME: Final = 12


def cpu_seconds(leaders: Iterable[int]) -> float:
    """CPU seconds used so far by all processes in the sessions of *leaders* (each started in one of its own)."""
    wanted = set(leaders)
    fields = (each for each in _stats() if int(each[_SESSION]) in wanted)
    return sum(int(each[_USER_TIME]) + int(each[_SYSTEM_TIME]) for each in fields) / _TICKS


def family_cpu_seconds(parent: int) -> float:
    """CPU seconds used so far by *parent*, its children, and those of them that ended."""
    fields = _stat(parent)
    own = sum(int(each) for each in fields[_USER_TIME : _SYSTEM_TIME + 3])
    children = (each for each in _stats() if int(each[_PARENT]) == parent)
    return (own + sum(int(each[_USER_TIME]) + int(each[_SYSTEM_TIME]) for each in children)) / _TICKS


def parent_of(pid: int) -> int:
    """The process that started *pid*."""
    return int(_stat(pid)[_PARENT])


def memory_mb(leaders: Iterable[int]) -> float:
    """Proportional set size in MB of the same processes: pages that several share are counted once between them."""
    wanted = set(leaders)
    return sum(_pss(pid) for pid in _pids() if _session(pid) in wanted) / 1024


def _pids() -> Iterator[int]:
    return (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit())


def _stats() -> Iterator[list[str]]:
    return (fields for pid in _pids() if (fields := _stat(pid)))


def _stat(pid: int) -> list[str]:
    """The fields after the command's name; none for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _session(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[_SESSION]) if fields else 0


def _pss(pid: int) -> int:
    """In KB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
