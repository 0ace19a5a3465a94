"""`python -m benchmarks.scale`: fill a ledger on each database, ask what people ask, print how long they wait."""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from servers import PostgresCluster
from sqlalchemy import func, select

from benchmarks.say import say
from benchmarks.scale.filling import fill
from benchmarks.scale.questions import SETTINGS, Timing, timed
from benchmarks.scale.world import World
from worker.database.tables import metadata
from worker.ledger import Ledger

DATABASES: Final = ("sqlite", "postgresql")
_LINE: Final = "{:<34} {:<10} {:>9} {:>9} {:>7}"


def main() -> None:
    """Fill, ask, print."""
    options = _options()
    world = World(options.rows, SETTINGS.subjects(), datetime.now(UTC).replace(microsecond=0))
    with ExitStack() as stack:
        home = Path(stack.enter_context(_home()))
        ledgers = [stack.enter_context(_empty(database, home)) for database in options.databases]
        started = time.process_time()
        fill(world, ledgers)
        say(f"filled, in {time.process_time() - started:.0f} s of CPU besides the server's")
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


@contextmanager
def _home() -> Iterator[str]:
    home = tempfile.mkdtemp(prefix="revoker-scale-")
    Path(home).chmod(0o711)  # the user postgres passes through
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _empty(database: str, home: Path) -> Iterator[Ledger]:
    """An empty ledger of the newest schema on *database*."""
    with ExitStack() as stack:
        url = f"sqlite:///{home / 'ledger.sqlite3'}"
        if database == "postgresql":
            cluster = PostgresCluster(home / "postgres")
            stack.callback(cluster.stop)
            cluster.start()
            url = cluster.url(cluster.new_database())
        ledger = stack.enter_context(closing(Ledger.open(url)))
        ledger.upgrade()
        yield ledger


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=main.__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="calls in the ledger")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=DATABASES, help="only these")
    parser.add_argument("-v", "--verbose", action="store_true", help="show how the database finds each answer")
    return parser.parse_args()


if __name__ == "__main__":
    main()
