"""Rate limits with real workers: what counts is when the provider saw the calls."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from limited_system import QUEUE, Limited
from servers import Processes, wait_until
from system import System

from tasks.call import Lane
from worker.database.engine import open_database

WINDOW = 8.0
CALLS = 80


@pytest.fixture(params=["embedded+sqlite", "rabbitmq+postgresql"])
def limited(request: pytest.FixtureRequest, tmp_path: Path, processes: Processes) -> Iterator[Limited]:
    """A system on each broker, its ledger on each database."""
    embedded = request.param == "embedded+sqlite"
    broker_url = f"embedded:///{tmp_path / 'broker.sqlite3'}" if embedded else request.getfixturevalue("rabbitmq_url")
    system = System(tmp_path / "system", broker_url, processes)
    yield Limited(system, CALLS, WINDOW, None if embedded else request.getfixturevalue("postgres_url"))
    system.close()


def test_three_workers_keep_one_limit_and_use_it(limited: Limited) -> None:
    """Never above it in any window; with routine work waiting three quarters of it even in windows as short as this.

    An urgent call behind that backlog is made at once, from the reserve.
    """
    limited.publish(4 * CALLS)
    limited.start(3)
    wait_until(lambda: len(limited.arrivals()) > CALLS // 4, 20, "the workers to be busy")
    began, before = time.monotonic(), len(limited.arrivals())
    wait_until(lambda: time.monotonic() - began > WINDOW, 20, "a window to pass")
    made, took = len(limited.arrivals()) - before, time.monotonic() - began
    limited.publish(2, Lane.URGENT)
    wait_until(lambda: not limited.system.queued().get(QUEUE[Lane.URGENT]), 3, "the urgent calls to be made")
    assert limited.worst() <= CALLS
    assert made / took >= 0.75 * CALLS / WINDOW


def test_a_stop_gives_back_what_waits_for_its_turn(limited: Limited) -> None:
    """Long before its turn, which is in a minute, and unattempted."""
    limited.calls, limited.window = 1, 50.0
    limited.publish(2)
    [worker] = limited.start(1)
    wait_until(limited.arrivals, 20, "the one call")
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.wait(15) == 0
    assert limited.system.queued()[QUEUE[Lane.ROUTINE]] == 1
    assert len(limited.arrivals()) == 1
    assert "retrying" not in worker.output


@contextmanager
def locked(ledger_url: str) -> Iterator[None]:
    """Nobody can change a limit meanwhile."""
    database = open_database(ledger_url)
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE limits")
        yield
    database.engine.dispose()


def test_while_the_ledger_is_away_calls_go_on_within_the_limit(limited: Limited) -> None:
    """At the worker's own share, said once; shared again by itself when the ledger is back."""
    limited.publish(40)
    with locked(limited.ledger_url):
        [worker] = limited.start(1)
        wait_until(lambda: len(limited.arrivals()) >= 8, 20, "calls to be made")
    wait_until(lambda: "limit.shared" in worker.output, 10, "the limit to be shared again")
    wait_until(lambda: len(limited.arrivals()) == 40, 20, "all calls to be made")
    said = [line for line in worker.output.splitlines() if "limit.alone" in line and '"wibmo"' in line]
    assert len(said) == 1
    assert limited.worst() <= CALLS
