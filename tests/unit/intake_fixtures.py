"""Fixtures: a ledger, a broker whose answers a test decides, and intakes on both."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from intakes import FEW, SUBJECTS, Broker, Start
from prepared_ledgers import make_file

from tasks.call import Lane
from tasks.plan import Catalogue, Instance
from tasks.providers import KINDS
from worker.broker.provenance import ProvenanceMac
from worker.database.thread import DatabaseThread
from worker.intake import dedup_store
from worker.intake.authorization import Authorizer
from worker.intake.dedup import Deduplicator
from worker.intake.flood.gate import FloodGate
from worker.intake.flood.window import Limits
from worker.intake.intake import Controls, Intake
from worker.ledger import Ledger


@pytest.fixture
def broker() -> Broker:
    """A broker that confirms everything until told otherwise."""
    return Broker()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """The ledger that every process in this test shares."""
    with closing(Ledger.open(make_file(f"sqlite:///{tmp_path / 'ledger.sqlite3'}"))) as opened:
        yield opened


@pytest.fixture
def start(tmp_path: Path, ledger: Ledger, broker: Broker) -> Iterator[Start]:
    """Start the intake of one more process on that ledger; *many*: how many people a source may hit."""
    assert dedup_store.youngest(ledger.database) == {}
    desks: list[DatabaseThread] = []

    def started(many: int = 1000, line: Broker = broker) -> Intake:
        desks.append(DatabaseThread(f"sqlite:///{tmp_path / 'ledger.sqlite3'}"))
        ages = dict.fromkeys(FEW, timedelta(days=2))
        limits = Limits(600, dict.fromkeys(FEW, many), dict.fromkeys(FEW, many), {})
        gate = FloodGate(desks[-1], limits)
        dedup = Deduplicator(desks[-1], ages, timedelta(days=30))
        controls = Controls(ProvenanceMac(b"k" * 32), Authorizer({}, proves_users=False), dedup, gate)
        instances = {"genesys": Instance("genesys", KINDS["genesys"])}
        catalogue = Catalogue(instances, dict.fromkeys(Lane, timedelta(hours=1)), SUBJECTS)
        publisher: Any = line
        return Intake(catalogue, publisher, controls)

    yield started
    for desk in desks:
        desk.close()
