"""What a change would touch, and what it came to, as people and programs are shown it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from worker.cli.output import Column, Document, Listing
from worker.operations.replay import ReplayResult
from worker.operations.replay_plan import PlanFigures
from worker.operations.text import counted, short_duration

Group = tuple[str | None, str, int]  # provider, reason, how many

GROUPS: Listing[Group] = Listing(
    "dead_letter_group",
    (
        Column("PROVIDER", lambda group: group[0], cut=1),
        Column("REASON", lambda group: group[1], cut=2),
        Column("COUNT", lambda group: counted(group[2]), right=True),
    ),
    lambda group: {"provider": group[0], "reason": group[1], "count": group[2]},
)


def groups(counted_by: Counter[tuple[str | None, str]]) -> list[Group]:
    """How many of each provider and reason, most first."""
    return [(*key, count) for key, count in counted_by.most_common()]


def replay_document(plan: PlanFigures, rate: float) -> Document:
    """The JSON of a replay that is planned."""
    return {
        "ready": plan.ready,
        "groups": [GROUPS.document(group) for group in groups(plan.groups)],
        "refused": dict(plan.refusals),
        "seconds": round(plan.ready / rate, 1),
    }


def replay_in_words(plan: PlanFigures, rate: float) -> str:
    """One line about a replay that is planned."""
    duration = short_duration(timedelta(seconds=plan.ready / rate))
    return f"{counted(plan.ready)} to replay, about {duration} at {_per_time(rate)}{_refused(plan.refusals)}"


def result_rows(plan: PlanFigures, result: ReplayResult) -> list[tuple[str, int]]:
    """What a replay came to, line by line; lines of nothing are left out."""
    lines = {
        "replayed": result.replayed,
        "settled": result.settled,
        "died again": result.died,
        "no news yet": result.pending,
        "left to another replay": result.taken,
        "not published": result.not_published,
        **{f"refused: {why}": count for why, count in plan.refusals.items()},
    }
    return [(what, count) for what, count in lines.items() if count or what == "replayed"]


RESULT: Listing[tuple[str, int]] = Listing(
    "replay_result",
    (Column("RESULT", lambda line: line[0]), Column("COUNT", lambda line: counted(line[1]), right=True)),
    lambda line: {"result": line[0], "count": line[1]},
)


def _refused(refusals: Mapping[str, int]) -> str:
    told = ", ".join(f"{counted(count)} {why}" for why, count in refusals.items())
    return f"; refused: {told}" if told else ""


def _per_time(rate: float) -> str:
    for unit, seconds in (("s", 1), ("m", 60)):
        if rate * seconds >= 1:
            return f"{rate * seconds:g}/{unit}"
    return f"{rate * 3600:g}/h"
