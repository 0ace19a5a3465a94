"""The table for people and the list for programs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from chaos.rows import all_rows
from chaos.running import Result

Told = dict[str, Any]  # a line of the list
PUBLISHED_AGAIN: Final = "an event without a confirm was published again, with its id; a second call finds a dead token"
HEAD: Final = (
    "row",
    "broker",
    "events",
    "lost",
    "told out but living",
    "duplicates",
    "dead",
    "recovery p95",
    "wall",
    "what is broken",
)


def as_json(result: Result) -> Told:
    """A line of `results.json`; `lost` is the whole load where the scenario did not get as far as the oracle."""
    verdict = result.verdict
    return {
        "row": result.row.name,
        "broker": result.broker,
        "events": result.events,
        "lost": len(verdict.lost) if verdict else result.events,
        "living": len(verdict.living) if verdict else result.events,
        "duplicates": verdict.duplicates if verdict else 0,
        "duplicates_bound": verdict.duplicates_bound if verdict else 0,
        "dead": sum(verdict.dead.values()) if verdict else 0,
        "reasons": dict(sorted(verdict.dead.items())) if verdict else {},
        "recovery_p95_s": round(result.recovery_p95, 2),
        "wall_s": round(result.wall, 1),
        "passed": result.passed,
        "remark": result.remark,
    }


def merge(results: Sequence[Result], file: Path, *, keep: bool = False) -> list[Told]:
    """The whole list, in the order of the matrix; *keep*: with what *file* holds of rows that were not run."""
    old = json.loads(file.read_text()) if keep and file.exists() else []
    told = {(each["row"], each["broker"]): each for each in [*old, *map(as_json, results)]}
    places = [(row.name, broker) for row in all_rows() for broker in row.brokers]
    return [told[place] for place in places if place in told]


def write(told: Sequence[Told], file: Path) -> None:
    """Write the list, a line for each result, and beside it the same as a table."""
    lines = ",\n".join(map(json.dumps, told))
    file.write_text(f"[\n{lines}\n]\n")
    file.with_suffix(".md").write_text(f"{table(told)}\n\n{arguments(told)}\n")


def table(told: Sequence[Told]) -> str:
    """The list as Markdown."""
    about = {(row.name, broker): row.about for row in all_rows() for broker in row.brokers}
    lines = (_line(each, about[each["row"], each["broker"]]) for each in told)
    return "\n".join([f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}", *lines])


def arguments(told: Sequence[Told]) -> str:
    """Why the duplicates that rows allow do no harm: an argument a line, with the rows it is true of."""
    allowing = {each["row"] for each in told if each["duplicates_bound"]}
    reasons: dict[str, dict[str, None]] = {}
    for row in all_rows():
        if row.name in allowing:
            reasons.setdefault(row.harmless or PUBLISHED_AGAIN, {})[row.name] = None
    return "\n".join(f"* {', '.join(names)}: {why}." for why, names in reasons.items())


def _line(told: Told, about: str) -> str:
    reasons = ", ".join(f"{count} `{reason}`" for reason, count in told["reasons"].items())
    cells = (
        told["row"] if told["passed"] else f"**{told['row']} failed**",
        told["broker"],
        told["events"],
        told["lost"],
        told.get("living", "-"),
        f"{told['duplicates']} ≤ {told['duplicates_bound']}" if told["duplicates_bound"] else told["duplicates"],
        reasons or "0",
        f"{told['recovery_p95_s']:.1f} s",
        f"{told['wall_s']:.0f} s",
        " ".join(filter(None, (about, told["remark"]))),
    )
    return f"| {' | '.join(map(str, cells))} |"
