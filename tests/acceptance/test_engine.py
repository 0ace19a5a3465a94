"""Celery stays Celery on the engine: each promise against a real worker process."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from engine_system import Probe
from sentry_inbox import SentryInbox
from servers import Processes, wait_until
from system import System

SIGNALS = ("task_prerun", "task_postrun", "task_success", "task_failure", "task_retry")


@pytest.fixture
def probe(system: System) -> Probe:
    """On each broker in turn."""
    return Probe(system)


@pytest.fixture
def on_rabbitmq(rabbitmq_url: str, tmp_path: Path, processes: Processes) -> Iterator[System]:
    """What is the same on both brokers is asked on one; remote control is on."""
    made = System(tmp_path / "system", rabbitmq_url, processes, worker={"remote_control": True, "shutdown_grace": 3})
    yield made
    made.close()


@pytest.fixture
def controlled(on_rabbitmq: System) -> Probe:
    """A worker that can be asked."""
    return Probe(on_rabbitmq)


@pytest.fixture
def control(on_rabbitmq: System) -> Any:
    """Celery's own client for asking it."""
    client = Celery(broker=on_rabbitmq.broker_url, set_as_current=False)
    yield client.control
    client.close()


def told(probe: Probe, task_id: str, *names: str) -> list[str]:
    """Which of *names* were told of a task, in order."""
    return [line["what"] for line in probe.trail(task_id=task_id) if line["what"] in names]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("well", ["before_start", "on_success", "task_success", "after_return", "task_postrun"]),
        ("value", ["before_start", "on_failure", "task_failure", "after_return", "task_postrun"]),
        ("retry", ["before_start", "task_retry", "task_postrun"]),
        ("ignore", ["before_start", "task_postrun"]),
        ("reject", ["before_start", "task_postrun", "task_failure"]),
    ],
)
def test_hooks_and_signals_come_in_celerys_order(probe: Probe, how: str, expected: list[str]) -> None:
    """As Celery's own tracer sends them, task_success (which has no task id) apart."""
    probe.start()
    task_id = probe.send("probe.end", how)
    probe.wait_for(expected[-1], task_id=task_id)
    wait_until(lambda: not set(probe.system.queued()) - {"revocation.dead"}, 20, "the message to be settled")
    names = [name for name in expected if name != "task_success"]
    assert told(probe, task_id, *names, "on_failure", "on_success", "after_return") == names
    assert len(probe.trail("task_success")) == expected.count("task_success")
    dead = probe.system.queued().get("revocation.dead", 0)
    assert dead == (1 if how in ("value", "reject") else 0)


def test_signals_have_celerys_arguments(probe: Probe) -> None:
    """Of each, the members that Celery documents."""
    probe.start()
    ids = probe.send_many([("probe.end", (how,)) for how in ("well", "value", "retry")])
    probe.wait_for("task_postrun", 3)
    postruns = {line["task_id"]: (line["state"], line["retval"]) for line in probe.trail("task_postrun")}
    assert [postruns[task_id] for task_id in ids] == [
        ("SUCCESS", "accepted"),
        ("FAILURE", "ValueError"),
        ("RETRY", "Retry"),
    ]
    [success], [failure], [retry] = (probe.trail(f"task_{name}") for name in ("success", "failure", "retry"))
    assert success["result"] == "accepted"
    assert 0.01 <= success["runtime"] < 5
    assert (failure["task_id"], failure["exception"], failure["args"]) == (ids[1], "ValueError", ["value"])
    assert {"traceback", "einfo", "kwargs"} <= failure.keys()
    assert (retry["request"], retry["reason"], retry["einfo"]) == (ids[2], "Retry", "ExceptionInfo")


def test_each_of_many_tasks_sees_its_own_request(probe: Probe) -> None:
    """`self.request` and `current_task`, before and after others ran, and in asyncio tasks of their own."""
    probe.start()
    ids = probe.send_many([("probe.look", (number,)) for number in range(40)])
    looks = probe.wait_for("look", 40)
    assert {line["id"]: (line["seen"], line["args"]) for line in looks} == {
        task_id: ([task_id], [number]) for number, task_id in enumerate(ids)
    }


def test_time_limits_end_a_task(probe: Probe) -> None:
    """Its own soft one fails it, which is a dead letter; the hard one gives the message back to be delivered again."""
    probe.start()
    soft = probe.send("probe.wait_soft", 30)
    assert [line["exception"] for line in probe.wait_for("task_failure", task_id=soft)] == ["SoftTimeLimitExceeded"]
    hard = probe.send("probe.wait_hard", 30)
    assert [line["again"] for line in probe.wait_for("ended", task_id=hard)] == [True]
    assert [line["exception"] for line in probe.trail("task_failure", hard)] == ["TimeLimitExceeded"]
    wait_until(lambda: probe.system.queued() == {"revocation.dead": 1}, 20, "one dead letter and nothing else")


def test_one_task_can_be_cancelled_among_others(controlled: Probe, control: Any) -> None:
    """`revoke(terminate=True)` ends that one, and its message is done with."""
    controlled.start()
    ids = controlled.send_many([("probe.wait", (4,))] * 3)
    controlled.wait_for("began", 3)
    control.revoke(ids[1], terminate=True)
    controlled.wait_for("cancelled", task_id=ids[1])
    controlled.wait_for("ended", 2)
    assert [line["terminated"] for line in controlled.wait_for("task_revoked")] == [True]
    wait_until(lambda: not controlled.system.queued(), 20, "the queues to be empty")
    assert {line["id"] for line in controlled.trail("ended")} == {ids[0], ids[2]}


def test_inspect_tells_what_is_in_flight_and_how_much_may_be(controlled: Probe, control: Any) -> None:
    """`celery inspect stats` and `active`, with no argument of any task shown by the pool."""
    controlled.start()
    ids = controlled.send_many([("probe.wait", (30,))] * 2)
    controlled.wait_for("began", 2)
    [stats] = control.inspect(timeout=3).stats().values()
    [active] = control.inspect(timeout=3).active().values()
    assert stats["pool"]["implementation"] == "worker.engine.pool:AsyncioPool"
    assert stats["pool"]["in-flight"] == 2
    assert {each["id"] for each in active} == set(ids)
    assert {each["args"] for each in active} == {"(sealed)"}
    assert len({each["worker_pid"] for each in active}) == 2


def test_remote_control_is_off_by_default(rabbitmq_url: str, tmp_path: Path, processes: Processes) -> None:
    """Nobody answers, and nobody can be told to shut down."""
    system = System(tmp_path / "system", rabbitmq_url, processes)
    worker = Probe(system).start()
    with Celery(broker=rabbitmq_url, set_as_current=False) as client:
        assert client.control.inspect(timeout=1).ping() is None
    assert worker.running
    system.close()


def test_task_events_are_sent_when_switched_on(controlled: Probe) -> None:
    """What Flower lives on: received, started, succeeded, failed; and no argument."""
    seen: list[dict[str, Any]] = []
    wanted = {"worker-online", "task-received", "task-started", "task-succeeded", "task-failed", "task-retried"}
    with Celery(broker=controlled.system.broker_url, set_as_current=False) as client, client.connection() as connection:
        receiver = client.events.Receiver(connection, handlers={"*": seen.append})
        listening = threading.Thread(target=receiver.capture, kwargs={"wakeup": False}, daemon=True)
        listening.start()
        controlled.start("-E")
        controlled.send_many([("probe.end", (how,)) for how in ("well", "value", "retry")])
        wait_until(lambda: wanted <= {event["type"] for event in seen}, 20, "all kinds of events")
        receiver.should_stop = True
        listening.join()
    assert {event["args"] for event in seen if event["type"] == "task-received"} == {"(sealed)"}


def test_autoscale_and_foreign_pools_are_refused_with_the_reason(probe: Probe) -> None:
    """A pool that does not await would lose every event; processes are not what is scaled here."""
    for options, reason in ((("--autoscale", "9,2"), "in_flight_routine"), (("-P", "solo"), "coroutines")):
        worker = probe.start(*options, ready=False)
        assert worker.wait(30) == 2
        assert reason in worker.output
        assert "Traceback" not in worker.output


def test_a_warm_stop_lets_calls_finish(probe: Probe) -> None:
    """SIGTERM: what is in flight ends, nothing is delivered twice, exit code 0."""
    worker = probe.start()
    probe.send_many([("probe.wait", (2,))] * 10)
    probe.wait_for("began", 10)
    assert worker.stop() == 0
    assert [line["again"] for line in probe.trail("ended")] == [False] * 10
    assert probe.system.queued() == {}


@pytest.mark.parametrize(
    "signals", [[signal.SIGQUIT], [signal.SIGTERM, signal.SIGTERM], [signal.SIGTERM, signal.SIGQUIT], [signal.SIGTERM]]
)
def test_what_may_not_finish_is_given_back(controlled: Probe, signals: list[signal.Signals]) -> None:
    """A cold stop, a second signal and the end of the grace (3 s) cancel the calls; another worker makes them."""
    worker = controlled.start()
    ids = controlled.send_many([("probe.wait", (30,))] * 10)
    controlled.wait_for("began", 10)
    for number in signals:
        os.kill(worker.pid, number)
        if number != signals[-1]:
            wait_until(lambda: "Warm shutdown" in worker.output, 10, "the first signal to be heard")
    worker.wait(15)
    assert len(controlled.trail("cancelled")) == 10
    controlled.start()
    controlled.wait_for("ended", 10)
    assert {line["id"] for line in controlled.trail("ended")} == set(ids)


@pytest.mark.parametrize("moment", ["written", "answered"])
def test_a_cold_stop_does_not_wait_for_what_it_interrupts(
    moment: str, rabbitmq_url: str, tmp_path: Path, processes: Processes
) -> None:
    """SIGQUIT in the middle of a frame, or of a warm stop: its handler talks with the broker, when that has ended."""
    system = System(tmp_path / "system", rabbitmq_url, processes)
    probe = Probe(system)
    worker = probe.start()
    probe.send("probe.wait", 30)
    probe.wait_for("began")
    probe.send("probe.quit", moment)
    if moment == "answered":
        wait_until(lambda: len(probe.trail("task_success")) == 1, 10, "the trap to be set")
        worker.send_signal(signal.SIGTERM)
    assert worker.wait(8) == 0
    assert "Traceback" not in worker.output
    system.close()


def test_many_signals_in_a_row_end_the_worker(rabbitmq_url: str, tmp_path: Path, processes: Processes) -> None:
    """Whatever they interrupt; calls that would go on for long do not hold up the end."""
    system = System(tmp_path / "system", rabbitmq_url, processes)
    probe = Probe(system)
    worker = probe.start()
    probe.send_many([("probe.wait", (60,))] * 50)
    probe.wait_for("began", 50)
    for _ in range(6):
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGQUIT)
        time.sleep(0.001)
    # 1: the third broke the cold stop off; -3: the stop was over, and one ended Python as it ended.
    assert worker.wait(15) in {0, 1, -signal.SIGQUIT}
    assert not probe.trail("ended")
    wait_until(lambda: sum(system.queued().values()) == 50, 20, "every call to be back in its queue")
    system.close()


def test_a_signal_amid_the_handler_of_another_takes_no_step_from_a_call(controlled: Probe) -> None:
    """The third may raise: in the middle of a call's cancellation that call would never end, and hold up the stop."""
    worker = controlled.start()
    controlled.send_many([("probe.wait", (60,))] * 5)
    controlled.wait_for("began", 5)
    controlled.send("probe.quit_thrice", "amid")
    assert worker.wait(8) in {0, 1}
    assert len(controlled.trail("cancelled")) == 5


def test_each_task_has_a_sentry_scope_and_a_transaction_of_its_own(
    rabbitmq_url: str, tmp_path: Path, processes: Processes
) -> None:
    """Errors name their task, transactions continue the sender's trace and carry the queue's figures."""
    inbox = SentryInbox()
    system = System(tmp_path / "system", rabbitmq_url, processes, sentry_dsn=inbox.dsn, sentry_traces_sample_rate=1.0)
    probe = Probe(system)
    worker = probe.start()
    trace = "a" * 32
    headers = {"sentry-trace": f"{trace}-{'b' * 16}-1", "sentry-task-enqueued-time": 1.0}
    failing, fine = probe.send("probe.end", "value", **headers), probe.send("probe.end", "well", **headers)
    wait_until(lambda: inbox.events and len(inbox.transactions) == 2, 20, "an error and two transactions")
    assert worker.stop() == 0
    [event] = inbox.events
    assert (event["tags"]["task_id"], event["tags"]["task"]) == (failing, "probe.end")
    assert {each["contexts"]["trace"]["trace_id"] for each in inbox.transactions} == {trace}
    spans = {span["data"]["messaging.message.id"]: span for each in inbox.transactions for span in each["spans"]}
    assert spans.keys() == {failing, fine}
    assert {span["op"] for span in spans.values()} == {"queue.process"}
    assert spans[fine]["data"]["messaging.destination.name"] == "door"
    assert spans[fine]["data"]["messaging.message.receive.latency"] > 0
    inbox.close()
    system.close()
