"""Every way to stop a process: it ends with 0, loses nothing, burns no attempt, and a second signal hurries it."""

import os
import signal
import time
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from servers import Daemon, Processes, wait_until
from system import System, digest

from tasks.call import Lane, Operation, ProviderCall
from tasks.sealing import seal
from worker import messages

CALLS = 40
GRACE = 5.0  # seconds
TERM, QUIT, INT = signal.SIGTERM, signal.SIGQUIT, signal.SIGINT


def calls(system: System) -> list[ProviderCall]:
    """Calls whose tokens are told apart in the provider's journal."""
    now = datetime.now(UTC)
    return [
        ProviderCall(
            call_id=str(uuid.uuid4()),
            source="urn:test",
            event_id=f"stop-{number}",
            event_type="session.ended",
            occurred_at=now,
            deadline=now + timedelta(hours=1),
            provider="finbourne",
            operation=Operation.FINBOURNE_INVALIDATE_TOKEN,
            lane=Lane.ROUTINE,
            subject="a***@example.com",
            jwe=seal(f"sbx-stop-{number}", "finbourne", system.key),
        )
        for number in range(CALLS)
    ]


def in_the_middle(system: System, seconds: float) -> Daemon:
    """A worker whose every call is under way at a provider that takes *seconds*."""
    system.script({"fault": "slow", "seconds": seconds})
    system.publish_all([messages.call(call) for call in calls(system)])
    [worker] = system.start("worker")
    wait_until(lambda: len(system.journal()) == CALLS, 30, "every call to be under way")
    return worker


def stopped(worker: Daemon, *signals: signal.Signals) -> float:
    """Send *signals*, each when the last was heard; the process ends well. Returns the seconds it took."""
    began = time.monotonic()
    for heard, number in enumerate(signals):
        wait_until(lambda: worker.output.count("Warm shutdown") >= heard, 10, "the first signal to be heard")  # noqa: B023
        os.kill(worker.pid, number)
    assert worker.wait(GRACE + 10) == 0
    for complaint in ("Traceback", "Unclosed", "was destroyed", "never awaited"):
        assert complaint not in worker.output
    return time.monotonic() - began


def attempts(system: System) -> Counter[str]:
    """How often each token was tried once all of them are dead and settled."""
    system.heal()
    system.start("worker", "recorder")
    ids = [f"stop-{number}" for number in range(CALLS)]
    system.wait_closed(ids, source="urn:test")
    wait_until(lambda: not system.queued(), 20, "the queues to be empty")
    rows = [row for each in ids for row in system.ledger.calls_of_event(each, "urn:test")]
    assert [row.attempt for row in rows] == [1] * CALLS
    assert set(system.revoked()) == {digest(f"sbx-stop-{n}") for n in range(CALLS)}
    return Counter(entry["key"] for entry in system.journal() if entry["operation"] == "finbourne.invalidate_token")


@pytest.fixture(params=["asyncio", "threads"])
def engine(request: pytest.FixtureRequest, broker_url: str, tmp_path: Path, processes: Processes) -> System:
    """A system on each engine and each broker."""
    limits = {"engine": request.param, "shutdown_grace": GRACE}
    return System(tmp_path / "system", broker_url, processes, worker=limits)


@pytest.mark.parametrize("number", [TERM, INT], ids=lambda number: str(number.name))
def test_a_stop_finishes_what_is_in_flight(engine: System, number: signal.Signals) -> None:
    """Within the grace: no call is made twice."""
    stopped(in_the_middle(engine, 1.0), number)
    assert set(attempts(engine).values()) == {1}
    engine.close()


@pytest.mark.parametrize("signals", [(TERM, TERM), (QUIT,)], ids=["twice", "cold"])
def test_a_hurried_stop_gives_back_what_is_in_flight(engine: System, signals: tuple[signal.Signals, ...]) -> None:
    """Long before the grace is over; each call is made once more, and that is no attempt."""
    assert stopped(in_the_middle(engine, 8.0), *signals) < GRACE
    assert max(attempts(engine).values()) <= 2
    engine.close()
