"""Where the databases of a measurement live: in a folder that goes afterwards, or in one that is kept for the next."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from servers import PostgresCluster

from benchmarks.scale.filling import fill
from benchmarks.scale.settings import SECRET, SETTINGS
from benchmarks.scale.world import World
from worker.ledger import Ledger

DATABASES: Final = ("sqlite", "postgresql")
_DATABASE, _FILE = "scale", "ledger.sqlite3"


@dataclass(frozen=True, slots=True)
class Filled:
    """Ledgers that are filled with *world*, by database their URLs, in the folder *home*."""

    world: World
    urls: Mapping[str, str]
    home: Path

    @contextmanager
    def copied(self, database: str) -> Iterator[str]:
        """The URL of a copy of one, which goes at the end of the block; nobody else may use that one meanwhile."""
        if database == "sqlite":
            file = self.home / "copy.sqlite3"
            shutil.copyfile(self.home / _FILE, file)
            file.chmod(0o600)
            try:
                yield f"sqlite:///{file}"
            finally:
                for each in self.home.glob(f"{file.name}*"):
                    each.unlink()
            return
        cluster = PostgresCluster(self.home / "postgres")
        name = cluster.new_database(_DATABASE)
        yield cluster.url(name)
        cluster.drop_database(name)


@contextmanager
def filled(rows: int, databases: Sequence[str], kept: Path | None) -> Iterator[Filled]:
    """Ledgers of *rows* calls.

    In the folder *kept*, which is made where it is missing, what was filled before is used again, and upgraded.
    """
    with ExitStack() as stack:
        home = kept or Path(stack.enter_context(_passing()))
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o711)  # the user postgres passes through
        urls = {each: stack.enter_context(_running(each, home)) for each in databases}
        world = _world(home, rows)
        _fill(world, urls.values())
        yield Filled(world, urls, home)


def _fill(world: World, urls: Collection[str]) -> None:
    """Upgrade the ledgers at *urls*, and fill those that are empty."""
    with ExitStack() as stack:
        ledgers = [stack.enter_context(closing(opened(url))) for url in urls]
        for ledger in ledgers:
            ledger.upgrade()
        if empty := [ledger for ledger in ledgers if not ledger.newest_change()]:
            fill(world, empty)


def opened(url: str) -> Ledger:
    """Return the ledger at *url*, as a process of ours opens it."""
    return Ledger.open(url, audit_secret=SETTINGS.audit_secret())


def _world(home: Path, rows: int) -> World:
    """That of *home*: of the time, and as large, as it was made."""
    told = home / "world.json"
    if not told.exists():
        now = datetime.now(UTC).replace(microsecond=0)
        told.write_text(json.dumps({"calls": rows, "now": now.isoformat()}))
    known = json.loads(told.read_text())
    return World(known["calls"], SETTINGS.subjects(), datetime.fromisoformat(known["now"]), SECRET)


@contextmanager
def _running(database: str, home: Path) -> Iterator[str]:
    if database == "sqlite":
        yield f"sqlite:///{home / _FILE}"
        return
    cluster = PostgresCluster(home / "postgres")
    cluster.start()
    try:
        if not cluster.has_database(_DATABASE):
            cluster.rename_database(cluster.new_database(), _DATABASE)
        yield cluster.url(_DATABASE)
    finally:
        cluster.stop()


@contextmanager
def _passing() -> Iterator[str]:
    home = tempfile.mkdtemp(prefix="revoker-scale-")
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
