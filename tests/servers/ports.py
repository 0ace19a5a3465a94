"""Free ports on loopback."""

import fcntl
import os
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom
from typing import Final

# Below Linux's ephemeral range (ip_local_port_range starts at 32768), so that no outgoing connection takes the port
# between the question and its use, and above what `revoker run` takes its own from. SystemRandom: pytest-randomly gives
# every xdist worker the same seed.
PORTS: Final = range(20_000, 32_000)
_chance = SystemRandom()
# Byte n of this file is locked by the process that drew port n, which ends the lock with itself (fcntl(2), "Advisory
# record locking"): a server takes seconds to start, and is stopped and started again. Never closed: any close would
# drop the locks.
_claims = (Path(tempfile.gettempdir()) / f"revoker-test-ports-{os.getuid()}").open("ab")
_ours: set[int] = set()


def free_port(among: Sequence[int] = PORTS) -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on, and that nobody else is given while this process lives."""
    first = _chance.randrange(len(among))
    for port in (*among[first:], *among[:first]):
        if port not in _ours and _is_claimed(port) and _is_free(port):
            _ours.add(port)
            return port
    raise AssertionError(f"no free port from {among[0]} to {among[-1]}")


def _is_claimed(port: int) -> bool:
    try:
        fcntl.lockf(_claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):  # which of the two is the system's choice
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
