"""Urgent events behind a routine backlog: how long until the last of them is settled."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Literal

from servers import wait_until

from benchmarks.contestants import running
from benchmarks.installation import user_id
from benchmarks.ours import Kind, OurRow, Setup
from benchmarks.plan import Plan
from benchmarks.results import Result, median, percentile
from benchmarks.say import say
from benchmarks.stage import Stage

SECTION: Final = "urgent behind a backlog"
LATENCY: Final = 0.05  # of the provider: settled is answered
PATIENCE: Final = 150.0  # seconds for the urgent ones to come through

Form = Literal["events", "calls"]


def measure(stage: Stage, kind: Kind, form: Form, plan: Plan) -> Result:
    """A backlog of routine *form*, then urgent events published last: their time until settled, in each round."""
    row = OurRow(Setup(broker=kind, work="events"), stage)
    row.prepare()
    taken = [_round(stage, row, form, plan, number) for number in range(plan.rounds)]
    row.close()
    return _result(row, taken, f"{plan.backlog} routine {form}", plan)


def _round(stage: Stage, row: OurRow, form: Form, plan: Plan, number: int) -> list[float]:
    """Fill up what an earlier round has worked off, then publish the urgent ones."""
    ours, missing = row.installation, plan.backlog - row.waiting()
    first = number * plan.backlog
    row.fill(ours.ended_events(missing, first) if form == "events" else ours.routine_calls(missing, first))
    stage.provider.reset(LATENCY)
    with running(row.start()):
        wait_until(lambda: stage.provider.figures().requests > 0, 60, "the backlog to move")
        return _urgent_times(stage, row, range(number * plan.urgent + 1, (number + 1) * plan.urgent + 1))


def _urgent_times(stage: Stage, row: OurRow, numbers: range) -> list[float]:
    events = row.installation.disabled_events(len(numbers), numbers.start)
    sent = time.monotonic()
    row.fill(events)
    wanted = {user_id(n) for n in numbers}  # beside them, what an earlier round had not acknowledged comes again
    try:
        wait_until(lambda: wanted <= stage.provider.arrivals().keys(), PATIENCE)
    except AssertionError:
        say("not all urgent events came through in time")
    arrivals = stage.provider.arrivals()
    return [arrivals[each] - sent + LATENCY for each in wanted & arrivals.keys()]


def _result(row: OurRow, rounds: Sequence[Sequence[float]], behind: str, plan: Plan) -> Result:
    p50, p99 = (_median_ms([percentile(taken, share) for taken in rounds if taken]) for share in (0.5, 0.99))
    say(f"urgent behind {behind} ({row.broker}): p99 {p99 or float('nan'):.0f} ms")
    return Result(
        row=f"urgent behind {behind}",
        broker=row.broker,
        p50_ms=p50,
        p99_ms=p99,
        lost=sum(plan.urgent - len(taken) for taken in rounds),
        rounds=len(rounds),
        section=SECTION,
    )


def _median_ms(seconds: Sequence[float]) -> float | None:
    return median(seconds) * 1000 if seconds else None
