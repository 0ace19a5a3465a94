"""`ledger prune` on a large ledger, beside a process that writes: `-m benchmarks.scale.pruning` is that process."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from servers import Processes

from benchmarks.scale.homes import opened
from benchmarks.stage import PYTHONPATH
from worker.ledger import Ledger
from worker.ledger.retention import Horizons, forget
from worker.operations.pruning import MIN_PAUSE

SECONDS: Final = 45.0
_AGE: Final = timedelta(days=30)  # two thirds of the ledger are older
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EVERY: Final = 0.02  # seconds between two writes of the other process


@dataclass(frozen=True, slots=True)
class Pruning:
    """What was removed, and how long that took, and the writes beside it."""

    seconds: float
    removed: int  # dead letters and events
    steps: Sequence[float]  # seconds
    writes: Sequence[float]  # of the other process, likewise: from its begin until it was committed


def pruned(home: Path, url: str, now: datetime) -> Pruning:
    """Prune the ledger at *url* for SECONDS as an operator does; what it loses is lost."""
    processes = Processes(home)
    writer = processes.start(
        "python", "-m", "benchmarks.scale.pruning", url, str(SECONDS), env={"PYTHONPATH": PYTHONPATH}
    )
    try:
        with closing(opened(url)) as ledger:
            removed, steps, seconds = _forgotten(ledger, now - _AGE)
        writer.wait(60)
        return Pruning(seconds, removed, steps, json.loads(writer.output.splitlines()[-1]))
    finally:
        processes.close()


def _forgotten(ledger: Ledger, old: datetime) -> tuple[int, list[float], float]:
    began, removed, steps = time.monotonic(), 0, list[float]()
    left = forget(ledger.database, Horizons(old, old, _NEVER, _NEVER, jobs=_NEVER))
    while (seconds := time.monotonic() - began) < SECONDS:
        started = time.monotonic()
        if (gone := next(left, None)) is None:
            break
        if gone:
            removed += gone
            steps.append(time.monotonic() - started)
            time.sleep(max(MIN_PAUSE, steps[-1]))
    return removed, steps, seconds


def main(url: str, seconds: float) -> None:
    """Write a little for *seconds*, again and again, as a recorder does; print how long each write took."""
    took, end = list[float](), time.monotonic() + seconds
    with closing(opened(url)) as ledger:
        while time.monotonic() < end:
            began = time.monotonic()
            ledger.record([])
            took.append(time.monotonic() - began)
            time.sleep(_EVERY)
    print(json.dumps([round(each, 5) for each in took]))  # noqa: T201 - what whoever started it reads


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
