"""Intakes that remember together on one ledger: `pytest_plugins = ["deduplication_fixtures"]`."""

from collections.abc import Iterator

import pytest
from deduplicators import MAX_AGES, OUTAGE, Start

from worker.database.thread import DatabaseThread
from worker.intake import dedup_store
from worker.intake.dedup import Deduplicator
from worker.ledger import Ledger


@pytest.fixture
def start(ledger: Ledger, ledger_url: str) -> Iterator[Start]:
    """Make the deduplicator of a process which was just started."""
    assert dedup_store.youngest(ledger.database) == {}
    desks = list[DatabaseThread]()

    def started() -> Deduplicator:
        desks.append(DatabaseThread(ledger_url))
        return Deduplicator(desks[-1], MAX_AGES, OUTAGE)

    yield started
    for desk in desks:
        desk.close()
