"""Memory over many calls: what a worker holds early, half way and at the end."""

from __future__ import annotations

from typing import Final

from benchmarks.contestants import running
from benchmarks.draining import NEARLY, drained, settle, watch
from benchmarks.ours import OurRow, Setup
from benchmarks.results import Result
from benchmarks.say import say
from benchmarks.stage import Stage

SECTION: Final = "memory over many calls"
MARKS: Final = (0.1, 0.5, NEARLY)


def measure(stage: Stage, calls: int) -> list[Result]:
    """A result for each mark: how much memory the worker held after that many calls."""
    row = OurRow(Setup(), stage)
    row.prepare()
    messages = row.messages(calls)
    row.fill(messages)
    stage.provider.reset(0.05)
    with running(row.start()) as daemons:
        looks, memory = watch(stage.provider.figures, daemons, calls, MARKS)
        settle(row)
    done = drained(looks, memory[-1], stage.provider.figures(), calls)
    row.close()
    say(f"memory over {calls} calls: {', '.join(f'{each:.0f} MB' for each in memory)}")
    return [
        Result(
            row=f"ours, after {mark * calls:.0f} calls",
            broker=row.broker,
            calls_per_second=done.calls_per_second,
            memory_mb=held,
            lost=done.lost,
            duplicates=done.duplicates,
            section=SECTION,
            x=mark * calls,
        )
        for mark, held in zip(MARKS, memory, strict=True)
    ]
