"""`make scale` in small: the parts that need processes, and the file of which the document's tables are made."""

import asyncio
import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.scale import console, pruning, site, tabs
from benchmarks.scale.filling import fill
from benchmarks.scale.homes import opened
from benchmarks.scale.pages import pages
from benchmarks.scale.results import Machine, keep, of_pages, of_pruning, of_recorder
from benchmarks.scale.settings import SECRET, SETTINGS
from benchmarks.scale.world import World


def test_a_console_a_recorder_and_a_pruning_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page is answered, the recorder records what it is given, and that is taken out of the ledger again."""
    for module, name, value in (
        (console, "TIMES", 1),
        (console, "ROUNDS", 1),
        (console, "RECORDS", 50),
        (pruning, "SECONDS", 0.5),
        (site, "OPERATORS", ("operator-0",)),
        (tabs, "OPERATORS", ("operator-0",)),
        (tabs, "TABS", 3),
        (tabs, "_THROTTLE", 0.1),
    ):
        monkeypatch.setattr(module, name, value)
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    world = World(1000, SETTINGS.subjects(), datetime.now(UTC).replace(microsecond=0), SECRET)
    with closing(opened(url)) as ledger:
        ledger.upgrade()
        fill(world, [ledger])
        rows = len(ledger.changes_since(0, 10_000)[0])
        found = {"sqlite": asyncio.run(console.measured(tmp_path / "site", world, ledger, url))}
        assert len(ledger.changes_since(0, 10_000)[0]) == rows
        told = Machine.now().told([ledger])
        addresses = pages(world, ledger)
    forgotten = {"sqlite": pruning.pruned(tmp_path, url, world.now)}
    assert forgotten["sqlite"].removed > 0
    for name, part in (
        ("pages", of_pages(found)),
        ("recorder", of_recorder(found)),
        ("pruning", of_pruning(forgotten)),
    ):
        keep(tmp_path / "results.json", name, part, told)
    kept = json.loads((tmp_path / "results.json").read_text())
    assert kept["pages"]["measured"].keys() >= {*addresses}
    assert kept["recorder"]["measured"]["recorder alone, records/s"]["sqlite"] > 0
    assert kept["pruning"]["measured"]["a write beside it, p50 ms"]["sqlite"] > 0
