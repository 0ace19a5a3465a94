"""One row on one broker, from its load to its verdict."""

import contextlib
import math
import random
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from canary_search import files, leaks
from servers import ForkServer, PostgresCluster, Processes
from servers.shared import own_folder, shared
from system import System

from chaos.brokers import open_broker
from chaos.disk import DISK, small_disk
from chaos.lines import Lines
from chaos.oracle import Verdict, judge
from chaos.rows import Row
from chaos.scene import Scene

SEED: Final = 20_261_121
IN_FLIGHT: Final = {"in_flight_routine": 10, "in_flight_urgent": 5}  # calls, for each provider
MIGRATING: Final = threading.Lock()  # of rows side by side one at a time: Alembic's context is the whole process's


@dataclass(frozen=True, slots=True)
class Result:
    """A line of the table."""

    row: Row
    broker: str
    events: int
    verdict: Verdict | None  # None: the scenario did not get that far
    faults: tuple[str, ...]
    recovery_p95: float  # seconds
    wall: float  # seconds
    logs: Path
    remark: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def run_row(  # noqa: PLR0913 - all that a run is made of
    row: Row, kind: str, events: int, seed: int, home: Path, *, fork_server: ForkServer | None = None
) -> Result:
    """Run *row* on the broker *kind*, its files in the new folder *home*; what is wrong is told, not raised.

    Its processes are forked where there is a *fork_server*.
    """
    began = time.monotonic()
    home.mkdir(parents=True)
    verdict, faults, recovery, remark = None, list[str](), 0.0, ""
    try:
        with open_scene(row, kind, events, seed, home, fork_server=fork_server) as scene:
            row.scenario(scene)
            scene.drain()
            events = len(scene.load.events)
            verdict = judge(scene.evidence(), row.allowance(events, scene.unknown_units))
            faults = [*verdict.faults, *_dead_processes(scene), *_late(scene), *_leaks(scene)]
            recovery, remark = percentile(sorted(scene.recoveries()), 95), scene.remark
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this row's failure, and the others go on
        where = traceback.extract_tb(error.__traceback__)[-1]
        faults.append(f"the scenario, line {where.lineno} of {where.filename}: {error or where.line}")
    return Result(row, kind, events, verdict, tuple(faults), recovery, time.monotonic() - began, home, remark)


@contextlib.contextmanager
def open_scene(  # noqa: PLR0913 - all that a run is made of
    row: Row, kind: str, events: int, seed: int, home: Path, *, fork_server: ForkServer | None = None
) -> Iterator[Scene]:
    """The scene of *row*: its broker, sandbox and proxies run, its load is drawn; no process of ours is started."""
    with contextlib.ExitStack() as stack:
        if row.small_disk:
            stack.enter_context(small_disk(home / DISK, megabytes=64))
        broker = stack.enter_context(open_broker(kind, row, home))
        (home / "processes").mkdir()
        processes = Processes(home / "processes", fork_server)
        stack.callback(processes.close)
        ledger, cluster = stack.enter_context(_ledger(row, home))
        settings = {**ledger, **row.settings}
        settings["worker"] = {**IN_FLIGHT, **row.settings.get("worker", {})}
        with MIGRATING:
            system = System(
                home / "system", broker.url, processes, latency=row.latency, written=row.written, **settings
            )
        stack.callback(system.close)
        lines = stack.enter_context(Lines(row.links, system))
        load = row.load(system, events, random.Random(f"{seed} {row.name}"), row.providers)  # noqa: S311 - a load, no secret
        scene = Scene(row, system, broker, lines, load)
        if cluster:
            scene.postgres = cluster
        yield scene


@contextlib.contextmanager
def _ledger(row: Row, home: Path) -> Iterator[tuple[Mapping[str, Any], PostgresCluster | None]]:
    """A row with a line to the ledger has it on PostgreSQL; SQLite knows no lines."""
    if row.small_disk == "ledger":
        yield {"ledger_url": f"sqlite:///{home / DISK / 'ledger.sqlite3'}"}, None
    elif row.own_postgres:
        cluster = PostgresCluster(own_folder("private"))
        cluster.start()
        yield {"ledger_url": cluster.url(cluster.new_database())}, cluster
        cluster.stop()
    elif any(link.endswith("-ledger") for link in row.links):
        cluster = shared(PostgresCluster, "postgres")
        database = cluster.new_database()
        yield {"ledger_url": cluster.url(database)}, None
        cluster.drop_database(database)
    else:
        yield {}, None


def _dead_processes(scene: Scene) -> list[str]:
    dead = [process for process in scene.all_running() if not process.running]
    return [f"died: {process.name}, exit code {process.wait()}" for process in dead]


def _late(scene: Scene) -> list[str]:
    if scene.row.within is None:
        return []
    first = scene.first_call_after_heal()
    if first is None:
        return ["late: no call was left to be made after the heal, so the row shows nothing"]
    return [f"late: first call {first:.1f} s after the heal"] if first > scene.row.within else []


def _leaks(scene: Scene) -> list[str]:
    places = [
        *files(scene.system.home.parent, but=("revoker.toml", "test-key", "door-secret")),
        *files(scene.broker.files),
    ]
    return [f"leaked: {leak}" for leak in leaks(places, scene.markers())]


def percentile(ordered: Sequence[float], rank: int) -> float:
    """The nearest rank in *ordered*; 0 where there is nothing."""
    return ordered[max(0, math.ceil(len(ordered) * rank / 100) - 1)] if ordered else 0.0
