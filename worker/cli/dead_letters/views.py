"""What a change would touch, and what it came to, as people and programs are shown it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

from worker.cli.exits import Exit
from worker.cli.output import Column, Document, Form, Listing, note, print_json
from worker.operations.replay import INTERRUPTED, Replayed, ReplayResult
from worker.operations.replay_plan import PlanFigures
from worker.operations.text import counted, short_duration

Group = tuple[tuple[str | None, str], int]  # provider and reason, how many

GROUPS: Listing[Group] = Listing(
    "dead_letter_group",
    (
        Column("PROVIDER", lambda group: group[0][0], cut=1),
        Column("REASON", lambda group: group[0][1], cut=2),
        Column("COUNT", lambda group: counted(group[1]), right=True),
    ),
    lambda group: {"provider": group[0][0], "reason": group[0][1], "count": group[1]},
)
_RESULT: Listing[tuple[str, int]] = Listing(
    "replay_result",
    (Column("RESULT", lambda line: line[0]), Column("COUNT", lambda line: counted(line[1]), right=True)),
    lambda line: {"result": line[0], "count": line[1]},
)


def replay_document(plan: PlanFigures, rate: float) -> Document:
    """The JSON of a replay that is planned."""
    return {
        "ready": plan.ready,
        "groups": [GROUPS.document(group) for group in plan.groups.most_common()],
        "refused": plan.refusals,
        "seconds": round(plan.ready / rate, 1),
    }


def replay_in_words(plan: PlanFigures, rate: float) -> str:
    """One line about a replay that is planned."""
    duration = short_duration(timedelta(seconds=plan.ready / rate))
    refused = ", ".join(f"{counted(count)} {why}" for why, count in plan.refusals.items())
    more = f"; refused: {refused}" if refused else ""
    return f"{counted(plan.ready)} to replay, about {duration} at {_per_time(rate)}{more}"


def show_result(form: Form, name: str, plan: PlanFigures, done: Replayed) -> Exit:
    """Tell what a replay came to, *name* is that of its JSON schema; return its exit code."""
    result = done.result
    if form.is_json:
        numbers = asdict(result) | {"pending": result.pending, "refused": plan.refusals}
        print_json(name, {"audit_id": done.audit_id, **numbers}, indent=None)
    else:
        _RESULT.show(form, _lines(plan, result))
    if result.stopped:
        note(f"stopped: {result.stopped}")
    note(f"audit {done.audit_id}")
    return _exit_code(plan, result)


def _lines(plan: PlanFigures, result: ReplayResult) -> list[tuple[str, int]]:
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


def _exit_code(plan: PlanFigures, result: ReplayResult) -> Exit:
    if result.stopped == INTERRUPTED:
        return Exit.INTERRUPTED
    if result.not_published and not result.replayed:
        return Exit.UNAVAILABLE
    incomplete = result.stopped or result.not_published or result.died or plan.refused
    return Exit.PARTIAL if incomplete else Exit.DONE


def _per_time(rate: float) -> str:
    for unit, seconds in (("s", 1), ("m", 60)):
        if rate * seconds >= 1:
            return f"{rate * seconds:g}/{unit}"
    return f"{rate * 3600:g}/h"
