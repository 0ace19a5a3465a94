"""What a worker on the embedded broker costs while nothing is to be done."""

from __future__ import annotations

import time
from typing import Final

from servers import wait_until

from benchmarks.contestants import running
from benchmarks.ours import OurRow, Setup
from benchmarks.resources import cpu_seconds
from benchmarks.results import Result
from benchmarks.say import say
from benchmarks.stage import Stage

SECTION: Final = "idle"
SECONDS: Final = 5.0


def measure(stage: Stage) -> Result:
    """CPU in per cent of a core (its x), of a worker that has made its one call."""
    row = OurRow(Setup(broker="embedded"), stage)
    row.prepare()
    row.fill(row.messages(1))
    stage.provider.reset(0.0)
    with running(row.start()) as daemons:
        leaders = [daemon.pid for daemon in daemons]
        wait_until(lambda: stage.provider.figures().ids == 1 and row.waiting() == 0, 30, "the worker to be ready")
        before = cpu_seconds(leaders)
        time.sleep(SECONDS)
        used = (cpu_seconds(leaders) - before) / SECONDS * 100
    say(f"idle on the embedded broker: {used:.1f} % CPU")
    return Result(row=f"ours, idle: {used:.1f} % CPU", broker="embedded", section=SECTION, x=used)
