"""Two ways to kill the session-timeout job: at a statement or a moment, and before any piece that it sends or gets."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any, Self

from counting_door import CountingDoor
from portal import EXAMPLES, Portal
from sqlalchemy import make_url
from system import System

KILLED = -9


def node_job(file: Path) -> subprocess.Popen[str]:
    """Start the job in Node.js as its page says."""
    pipe = subprocess.PIPE
    return subprocess.Popen(["node", "job.mjs", str(file)], cwd=file.parent, stdout=pipe, stderr=pipe, text=True)


class KilledJob:
    """The job in forks of one process; each run is over, or killed, when `run` returns."""

    def __init__(self, file: Path) -> None:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(EXAMPLES)}
        argv = [sys.executable, str(Path(__file__).with_name("killed_job.py")), str(file)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(argv, env=env, stdin=pipe, stdout=pipe, text=True)

    def run(self, **order: Any) -> dict[str, Any]:
        """Have it run, and killed where *order* says."""
        orders, reports = self._process.stdin, self._process.stdout
        assert orders is not None
        assert reports is not None
        return _exchanged(orders, reports, order)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.communicate(timeout=30)


def _exchanged(orders: IO[str], reports: IO[str], order: dict[str, Any]) -> dict[str, Any]:
    orders.write(json.dumps(order) + "\n")
    orders.flush()
    report: dict[str, Any] = json.loads(reports.readline())
    return report


class Deadly:
    """The job in Node.js between two doors that kill it."""

    def __init__(self, portal: Portal, system: System) -> None:
        self._portal = portal
        store, broker = make_url(portal.url), make_url(system.broker_url)
        assert store.port is not None
        assert broker.port is not None
        self._doors = [CountingDoor(port, self._count) for port in (store.port, broker.port)]
        to_store, to_broker = (door.port for door in self._doors)
        portal.configure(
            store_url=portal.url.replace(f":{store.port}/", f":{to_store}/"),
            broker_url=system.broker_url.replace(f":{broker.port}/", f":{to_broker}/"),
        )
        self._lock = threading.Lock()
        self._pieces = self._kill_at = 0

    def run(self, kill_at: int) -> int:
        """Run the job, killed before it gets its nth piece, or the server does; 0: not at all. Return how many."""
        self._pieces, self._kill_at = 0, kill_at
        self._job = node_job(self._portal.file)
        _, errors = self._job.communicate(timeout=60)
        assert self._job.returncode in {KILLED if kill_at else 0, 0}, errors
        return self._pieces

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for door in self._doors:
            door.__exit__()

    def _count(self) -> None:
        with self._lock:
            self._pieces += 1
            if self._pieces == self._kill_at:
                self._job.kill()
