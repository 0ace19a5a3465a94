"""What processes hold in memory, as the kernel tells it."""

from pathlib import Path


def resident_mb(pid: int) -> float:
    """Now."""
    return _status(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """The most it ever was."""
    return _status(pid, "VmHWM")


def _status(pid: int, member: str) -> float:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status[member].split()[0]) / 1024
