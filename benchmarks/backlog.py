"""Urgent events behind a routine backlog: how long until the last of them is settled."""

from __future__ import annotations

import time
from typing import Final, Literal

from servers import wait_until

from benchmarks.contestants import running
from benchmarks.installation import user_id
from benchmarks.ours import Kind, OurRow, Setup
from benchmarks.results import Result, percentile
from benchmarks.say import say
from benchmarks.stage import Stage

SECTION: Final = "urgent behind a backlog"
LATENCY: Final = 0.05  # of the provider: settled is answered
PATIENCE: Final = 150.0  # seconds for the urgent ones to come through

Form = Literal["events", "calls"]


def measure(stage: Stage, kind: Kind, form: Form, routine: int, urgent: int) -> Result:
    """*routine* events queued as *form*, then *urgent* events published last: their time until settled."""
    row = OurRow(Setup(broker=kind, work="events"), stage)
    row.prepare()
    ours = row.installation
    row.fill(ours.ended_events(routine) if form == "events" else ours.routine_calls(routine))
    stage.provider.reset(LATENCY)
    with running(row.start()):
        wait_until(lambda: stage.provider.figures().requests > 0, 60, "the backlog to move")
        taken = _urgent_times(stage, row, urgent)
    row.close()
    return _result(row, taken, f"{routine} routine {form}", urgent)


def _urgent_times(stage: Stage, row: OurRow, urgent: int) -> list[float]:
    events = row.installation.disabled_events(urgent)
    sent = time.monotonic()
    row.fill(events)
    wanted = [user_id(n) for n in range(1, urgent + 1)]
    try:
        wait_until(lambda: stage.provider.figures().ids > urgent, PATIENCE)  # the routine ones share one more id
    except AssertionError:
        say("not all urgent events came through in time")
    arrivals = stage.provider.arrivals()
    return [arrivals[each] - sent + LATENCY for each in wanted if each in arrivals]


def _result(row: OurRow, taken: list[float], behind: str, urgent: int) -> Result:
    result = Result(
        row=f"urgent behind {behind}",
        broker=row.broker,
        p50_ms=percentile(taken, 0.5) * 1000 if taken else None,
        p99_ms=percentile(taken, 0.99) * 1000 if taken else None,
        lost=urgent - len(taken),
        section=SECTION,
    )
    say(f"{result.row} ({row.broker}): p99 {result.p99_ms or float('nan'):.0f} ms")
    return result
