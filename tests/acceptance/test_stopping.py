"""Every way to stop a process: it ends with 0, loses nothing, burns no attempt, and a second signal hurries it."""

import os
import re
import resource
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from provider_calls import session_call
from servers import Daemon, Processes, wait_until
from system import SOURCE, System, digest

from tasks.call import ProviderCall
from tasks.sealing import seal
from worker.broker import messages
from worker.ledger import CallRow

CALLS = 40
GRACE = 5.0  # seconds
TERM, QUIT, INT = signal.SIGTERM, signal.SIGQUIT, signal.SIGINT


def calls(system: System) -> list[ProviderCall]:
    """Calls whose tokens are told apart in the provider's journal."""
    names = [f"stop-{number}" for number in range(CALLS)]
    return [session_call(name, jwe=seal(f"sbx-{name}", "finbourne", system.key)) for name in names]


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


def recorded(system: System) -> list[CallRow]:
    """What the ledger knows of the calls."""
    return [row for number in range(CALLS) for row in system.ledger.calls_of_event(f"stop-{number}", "urn:test")]


def attempts(system: System) -> Counter[str]:
    """How often each token was tried once all of them are dead and settled."""
    system.heal()
    system.start("worker", "recorder")
    rows = wait_until(lambda: len(found := recorded(system)) == CALLS and found, 30, "every call to be recorded")
    assert {row.attempt for row in rows or ()} == {1}
    assert set(system.revoked()) == {digest(f"sbx-stop-{n}") for n in range(CALLS)}
    return Counter(entry["key"] for entry in system.journal() if entry["operation"] == "finbourne.invalidate_token")


@pytest.fixture
def impatient(broker_url: str, tmp_path: Path, processes: Processes) -> System:
    """A system on each broker, which gives calls little time to finish at a stop."""
    return System(tmp_path / "system", broker_url, processes, worker={"shutdown_grace": GRACE})


# The commonest stop also of processes that were started, as an operator starts them.
@pytest.mark.parametrize(
    "number", [pytest.param(TERM, marks=pytest.mark.executed), INT], ids=lambda number: str(number.name)
)
def test_a_stop_finishes_what_is_in_flight(impatient: System, number: signal.Signals) -> None:
    """Within the grace: no call is made twice."""
    stopped(in_the_middle(impatient, 1.0), number)
    assert set(attempts(impatient).values()) == {1}
    impatient.close()


@pytest.mark.parametrize("signals", [(TERM, TERM), (QUIT,)], ids=["twice", "cold"])
def test_a_hurried_stop_gives_back_what_is_in_flight(impatient: System, signals: tuple[signal.Signals, ...]) -> None:
    """Long before the grace is over; each call is made once more, and that is no attempt."""
    assert stopped(in_the_middle(impatient, 8.0), *signals) < GRACE
    assert max(attempts(impatient).values()) <= 2
    impatient.close()


def test_an_intake_that_is_stopped_again_and_again_does_nothing_twice(system: System) -> None:
    """Each time in the middle of its work: it ends with 0, and what it took and did not do was never delivered."""
    count = 3000
    system.publish([system.ended(system.session("wibmo", f"sbx-{n}"), event_id=f"stop-{n}") for n in range(count)])
    planned = "revocation.calls.wibmo.routine"
    for _ in range(3):
        before = system.queued().get(planned, 0)
        [intake] = system.start("intake")
        wait_until(lambda: system.queued().get(planned, 0) > before, 30, "the intake to be busy")  # noqa: B023
        assert intake.stop() == 0
    [intake] = system.start("intake")
    wait_until(lambda: "revocation.intake" not in system.queued(), 30, "every event to be taken in")
    assert intake.stop() == 0
    assert system.queued()[planned] == count


def test_a_recorder_that_is_stopped_in_the_middle_misses_nothing(system: System) -> None:
    """It ends with 0, what it had is in the ledger, and the rest waits for the next one."""
    ids = system.publish([system.ended(system.session("wibmo", f"sbx-{n}")) for n in range(1500)])
    system.start("intake", "worker")
    wait_until(lambda: len(system.revoked()) > len(ids) // 2, 30, "the worker to be busy")
    [recorder] = system.start("recorder")
    wait_until(lambda: system.ledger.settled_or_dead(SOURCE, ids), 30, "the recorder to be busy")
    assert recorder.stop() == 0
    system.start("recorder")
    system.wait_closed(ids)


@pytest.mark.executed
def test_a_process_that_crashes_leaves_no_image_of_its_memory(system: System) -> None:
    """No core file, whatever whoever started it allows."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    running = system.start()
    resource.setrlimit(resource.RLIMIT_CORE, before)
    for process in running:
        wait_until(lambda: "ready" in process.output, 30, f"{process.name} to be ready")  # noqa: B023
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert re.search(r"^Max core file size\s+0\s+0\s", limits, re.MULTILINE), limits
