"""The table for people and the list for programs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaos.running import Result

HEAD = ("row", "broker", "events", "lost", "duplicates", "dead", "recovery p95", "wall", "fault")


def as_json(result: Result) -> dict[str, Any]:
    """A line of `results.json`; `lost` is the whole load where the scenario did not get as far as the oracle."""
    verdict = result.verdict
    return {
        "row": result.row.name,
        "broker": result.broker,
        "events": result.events,
        "lost": len(verdict.lost) if verdict else result.events,
        "duplicates": verdict.duplicates if verdict else 0,
        "duplicates_bound": verdict.duplicates_bound if verdict else 0,
        "dead": sum(verdict.dead.values()) if verdict else 0,
        "recovery_p95_s": round(result.recovery_p95, 2),
        "passed": result.passed,
        "wall_s": round(result.wall, 1),
    }


def write(results: Sequence[Result], file: Path, *, keep: bool = False) -> None:
    """Write the list, a line for each result; *keep* what is there of rows that were not run."""
    old = json.loads(file.read_text()) if keep and file.exists() else []
    rows = {(each["row"], each["broker"]): each for each in [*old, *map(as_json, results)]}
    lines = ",\n".join(json.dumps(each) for _, each in sorted(rows.items()))
    file.write_text(f"[\n{lines}\n]\n")


def table(results: Sequence[Result]) -> str:
    """All results as Markdown, and below it why each duplicate that is allowed does no harm."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}", *map(_line, results)]
    reasons = dict.fromkeys((result.row.name, result.row.harmless) for result in results if result.row.harmless)
    return "\n".join([*lines, "", *(f"* {name}: {why}." for name, why in reasons)])


def _line(result: Result) -> str:
    told, verdict = as_json(result), result.verdict
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(verdict.dead.items())) if verdict else ""
    cells = (
        told["row"] if result.passed else f"**{told['row']} failed**",
        told["broker"],
        told["events"],
        told["lost"],
        f"{told['duplicates']} ≤ {told['duplicates_bound']}",
        reasons or "0",
        f"{result.recovery_p95:.1f} s",
        f"{result.wall:.0f} s",
        " ".join(filter(None, (result.row.about, result.remark))),
    )
    return f"| {' | '.join(map(str, cells))} |"
