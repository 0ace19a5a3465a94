"""The other stations of a revocation by themselves: publisher, intake, recorder. One row is one message a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from servers import PostgresCluster
from sqlalchemy import func, select

from benchmarks.contestants import running
from benchmarks.counting import Figures
from benchmarks.draining import Drained, drained, watch
from benchmarks.installed import InstalledRow
from benchmarks.ours import Kind, OurRow, Setup
from benchmarks.plan import Plan
from benchmarks.producers import Producers
from benchmarks.results import Result, together
from benchmarks.say import say
from benchmarks.stage import Stage
from worker.broker.publication import Message
from worker.database.tables import calls, clock
from worker.ledger import Ledger

SECTION: Final = "stations, messages a second"


def measure(stage: Stage, plan: Plan) -> Iterator[Result]:
    """Every station, once in each round."""
    producers = Producers()
    producers.make(plan.events)
    stations: list[Callable[[], Result]] = [partial(signed_intake, stage, producers, plan.events)]
    for broker in ("rabbitmq", "embedded"):
        stations += [
            partial(publisher, stage, broker, plan.publications, 100),
            partial(publisher, stage, broker, plan.publications // 10, 1),
            partial(intake, stage, broker, plan.events),
        ]
    stations += [partial(recorder, stage, database, plan.records) for database in ("SQLite", "PostgreSQL")]
    rounds = [[station() for station in stations] for _ in range(plan.rounds)]
    yield from map(together, zip(*rounds, strict=True))


def publisher(stage: Stage, kind: Kind, count: int, batch: int) -> Result:
    """Messages a second that our publisher has confirmed, *batch* at a time."""
    row = _prepared(stage, kind)
    messages = row.messages(count)
    with row.publisher() as out:
        out.publish_all(messages[:1])
        started, cpu = time.monotonic(), time.thread_time()
        for start in range(0, count, batch):
            out.publish_all(messages[start : start + batch])
        seconds, used = time.monotonic() - started, time.thread_time() - cpu
    row.close()
    return _said(
        Result(
            row=f"publisher, batches of {batch}" if batch > 1 else "publisher, one by one",
            broker=kind,
            calls_per_second=count / seconds,
            cpu_us_per_call=used / count * 1e6,
            section=SECTION,
        )
    )


def intake(stage: Stage, kind: Kind, count: int) -> Result:
    """Events a second that become published calls; each event becomes one."""
    row = _prepared(stage, kind)
    return _taken_in(row, row.installation.disabled_events(count), "intake")


def signed_intake(stage: Stage, producers: Producers, count: int) -> Result:
    """Likewise, of events that are signed and bring sealed tokens, at log level INFO."""
    row = InstalledRow("rabbitmq", producers, stage)
    row.prepare()
    return _taken_in(row, producers.ended[:count], "intake, signed events")


def _taken_in(row: OurRow, events: Sequence[Message], name: str) -> Result:
    count = len(events)
    row.fill(events)
    done = _emptied(row, "revocation.intake", "intake", count)
    calls = sum(n for name, n in row.counts().items() if name.startswith("revocation.calls"))
    row.close()
    result = done.result(name, row.broker, SECTION)
    return _said(replace(result, lost=max(0, count - calls), duplicates=max(0, calls - count)))


def recorder(stage: Stage, database: str, count: int) -> Result:
    """Rows a second that reach the ledger, on *database* "SQLite" or "PostgreSQL"; each record is a row."""
    if database == "SQLite":
        return _recorded(stage, database, count, None)
    cluster = PostgresCluster(stage.home / "postgres")
    cluster.start()
    try:
        return _recorded(stage, database, count, cluster.url(cluster.new_database()))
    finally:
        cluster.stop()


def _recorded(stage: Stage, database: str, count: int, ledger_url: str | None) -> Result:
    row = _prepared(stage, "rabbitmq", ledger_url)
    row.fill(row.installation.outcomes(count))
    ledger = Ledger.open(row.installation.ledger_url)
    ledger.upgrade()

    def written() -> int:
        with ledger.database.reading() as connection:
            number: int = connection.execute(select(clock.c.value)).scalar_one()
        return number

    done = _measured(row, "recorder", written, count)
    with ledger.database.reading() as connection:
        rows: int = connection.execute(select(func.count()).select_from(calls)).scalar_one()
    ledger.close()
    row.close()
    return _said(replace(done.result(f"recorder, {database}", "rabbitmq", SECTION), lost=count - rows, duplicates=0))


def _prepared(stage: Stage, kind: Kind, ledger_url: str | None = None) -> OurRow:
    row = OurRow(Setup(broker=kind), stage, ledger_url)
    row.prepare()
    return row


def _emptied(row: OurRow, queues: str, process: str, count: int) -> Drained:
    def gone() -> int:
        return count - sum(n for name, n in row.counts().items() if name.startswith(queues))

    return _measured(row, process, gone, count)


def _measured(row: OurRow, process: str, done: Callable[[], int], count: int) -> Drained:
    """Start *process* and watch it until *done* returns *count*."""

    def figures() -> Figures:
        so_far = done()
        return Figures(now=time.monotonic(), requests=so_far, ids=so_far, cpu=0.0, hanging=0)

    with running(row.start_processes(process)) as daemons:
        looks, memory = watch(figures, daemons, count)
    return drained(looks, memory[-1], figures(), count)


def _said(result: Result) -> Result:
    say(f"{result.row} ({result.broker}): {result.calls_per_second:.0f}/s")
    return result
