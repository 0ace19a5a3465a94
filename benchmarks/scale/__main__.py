"""`python -m benchmarks.scale`: fill a ledger on each database, ask what people ask, print how long they wait."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import func, select

from benchmarks.say import say
from benchmarks.scale import console, pruning
from benchmarks.scale.homes import DATABASES, Filled, filled, opened
from benchmarks.scale.questions import Timing, timed
from benchmarks.scale.results import FILE, Machine, Part, keep, of_pages, of_pruning, of_questions, of_recorder
from worker.database.tables import metadata
from worker.ledger import Ledger

_LINE: Final = "{:<40} {:<10} {:>9} {:>9} {:>9} {:>7}"


def main() -> None:
    """Fill, ask, print, and keep what was found in a file."""
    options = _options()
    started = time.process_time()
    with filled(options.rows, options.databases, options.kept) as ledgers:
        say(f"filled, in {time.process_time() - started:.0f} s of CPU besides the server's")
        for name in options.parts:
            machine = Machine.now()
            parts = _PARTS[name](ledgers, options.verbose)
            with ExitStack() as stack:
                told = machine.told([stack.enter_context(closing(opened(url))) for url in ledgers.urls.values()])
            for each, part in parts.items():
                keep(options.out, each, part, told)


def _questions(ledgers: Filled, verbose: bool) -> Mapping[str, Part]:  # noqa: FBT001 - as all parts have it
    found = list[Timing]()
    with ExitStack() as stack:
        opened_ = [stack.enter_context(closing(opened(url))) for url in ledgers.urls.values()]
        _print(_sizes(opened_[0]))
        _print(_LINE.format("question", "database", "median ms", "p95 ms", "CPU ms", "rows"))
        for each in (it for ledger in opened_ for it in timed(ledger, ledgers.world, with_plans=verbose)):
            found.append(each)
            _print(_line(each))
    return {"questions": of_questions(found)}


def _console(ledgers: Filled, _verbose: bool) -> Mapping[str, Part]:  # noqa: FBT001 - likewise
    found = dict[str, console.Console]()
    for database, url in ledgers.urls.items():
        with TemporaryDirectory() as home, closing(opened(url)) as ledger:
            found[database] = asyncio.run(console.measured(Path(home), ledgers.world, ledger, url))
    return _said({"pages": of_pages(found), "recorder": of_recorder(found)})


def _pruning(ledgers: Filled, _verbose: bool) -> Mapping[str, Part]:  # noqa: FBT001 - likewise
    found = dict[str, pruning.Pruning]()
    for database in ledgers.urls:
        with TemporaryDirectory() as home, ledgers.copied(database) as url:
            found[database] = pruning.pruned(Path(home), url, ledgers.world.now)
    return _said({"pruning": of_pruning(found)})


_PARTS: Final[Mapping[str, Callable[[Filled, bool], Mapping[str, Part]]]] = {
    "questions": _questions,
    "console": _console,
    "pruning": _pruning,
}


def _said(parts: Mapping[str, Part]) -> Mapping[str, Part]:
    for part in parts.values():
        for what, figures in part.items():
            _print(f"{what:<42} {', '.join(f'{database} {value}' for database, value in figures.items())}")
    return parts


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the table is what the command is for


def _line(timing: Timing) -> str:
    figures = (f"{timing.p50_ms:.1f}", f"{timing.p95_ms:.1f}", f"{timing.cpu_ms:.1f}", timing.rows)
    lines = [_LINE.format(timing.question, timing.database, *figures)]
    for plan in timing.plans:
        lines += ["", "  " + " ".join(plan.statement.split()), *(f"    {line}" for line in plan.lines)]
    return "\n".join(lines)


def _sizes(ledger: Ledger) -> str:
    with ledger.database.reading() as connection:
        counts = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }
    return "rows: " + ", ".join(f"{name} {count}" for name, count in counts.items() if count) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=main.__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="calls in the ledger")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=DATABASES, help="only these")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=[*_PARTS], help="only these")
    parser.add_argument("--kept", type=Path, help="fill a folder once, and use it again")
    parser.add_argument("--out", type=Path, default=FILE, help="the file of results")
    parser.add_argument("-v", "--verbose", action="store_true", help="show how the database finds each answer")
    return parser.parse_args()


if __name__ == "__main__":
    main()
