"""`python -m benchmarks.scale`: fill a ledger on each database, ask what people ask, print how long they wait."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from benchmarks.say import say
from benchmarks.scale.homes import DATABASES, filled, opened
from benchmarks.scale.questions import Timing, timed
from worker.database.tables import metadata
from worker.ledger import Ledger

_LINE: Final = "{:<34} {:<10} {:>9} {:>9} {:>7}"


def main() -> None:
    """Fill, ask, print."""
    options = _options()
    started = time.process_time()
    with filled(options.rows, options.databases, options.kept) as (world, urls), ExitStack() as stack:
        say(f"filled, in {time.process_time() - started:.0f} s of CPU besides the server's")
        ledgers = [stack.enter_context(closing(opened(url))) for url in urls.values()]
        print(_sizes(ledgers[0]))  # noqa: T201 - the table is what the command is for
        print(_LINE.format("question", "database", "median ms", "p95 ms", "rows"))  # noqa: T201 - likewise
        for each in (it for ledger in ledgers for it in timed(ledger, world, with_plans=options.verbose)):
            print(_line(each))  # noqa: T201 - likewise


def _line(timing: Timing) -> str:
    figures = (f"{timing.p50_ms:.1f}", f"{timing.p95_ms:.1f}", timing.rows)
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
    parser.add_argument("--kept", type=Path, help="fill a folder once, and use it again")
    parser.add_argument("-v", "--verbose", action="store_true", help="show how the database finds each answer")
    return parser.parse_args()


if __name__ == "__main__":
    main()
