"""Error reports from real processes to a real endpoint: they arrive, they say what is needed, they hold no token."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from engine_system import Probe
from pydantic import SecretStr
from sentry_inbox import SentryInbox
from servers import Processes, free_port, wait_until
from system import System

from worker.broker import topology
from worker.broker.publication import Message
from worker.observability import sentry
from worker.observability.sentry import SHUTDOWN_TIMEOUT
from worker.settings import SettingsError

MARKER = f"sbx-canary-{uuid.uuid4().hex}"
# A token in a local variable, in an exception's text, in an argument of a task and in members of a log line.
FAILING = """
import logging, sys, time
from types import SimpleNamespace
from pydantic import SecretStr
import sentry_sdk
marker, dsn, hardened = sys.argv[1], sys.argv[2], sys.argv[3] == "hardened"
if hardened:
    from worker.observability import sentry
    sentry.configure(SimpleNamespace(sentry_dsn=SecretStr(dsn), environment="test", sentry_traces_sample_rate=0.0))
else:
    sentry_sdk.init(dsn)
from celery import Celery
app = Celery("app", broker="memory://", set_as_current=False)
app.conf.task_always_eager = True
@app.task(name="genesys.delete_token")
def fail(document):
    held = {"other name": document}
    raise KeyError(document)
fail.apply(args=[marker])
started = time.perf_counter()
for n in range(20):
    logging.getLogger("worker.calls.runtime").error("provider.held", extra={"provider": "genesys", "token": marker})
    logging.getLogger("celery.worker").error("Received %r", marker)
print(time.perf_counter() - started, time.time())
"""


@pytest.fixture
def inbox() -> Iterator[SentryInbox]:
    """An endpoint that takes everything."""
    made = SentryInbox()
    yield made
    made.close()


def fail(dsn: str, how: str = "hardened") -> tuple[float, float]:
    """Run the failing script; seconds that forty error lines took, and seconds from its last line to its end."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FAILING, MARKER, dsn, how], capture_output=True, check=True, timeout=60
    )
    logging_took, said_last = map(float, done.stdout.split())
    return logging_took, time.time() - said_last


def test_the_sdk_as_it_comes_leaks_the_token(inbox: SentryInbox) -> None:
    """The probe's own proof: what the next test looks for is found without the hardening."""
    fail(inbox.dsn, "as it comes")
    assert b"".join(inbox.envelopes).count(MARKER.encode()) >= 3


def test_a_hardened_process_reports_types_and_places_only(inbox: SentryInbox) -> None:
    """The failing task arrives with its type, its places and its task, and without the token."""
    fail(inbox.dsn)
    [failure] = [event for event in inbox.events if "exception" in event]
    [exception] = failure["exception"]["values"]
    assert exception["type"] == "KeyError"
    assert [frame["function"] for frame in exception["stacktrace"]["frames"]][-1] == "fail"
    assert failure["tags"]["task"] == "genesys.delete_token"
    assert (failure["environment"], failure["release"]) == ("test", f"revoker@{version('revoker')}")
    assert MARKER.encode() not in b"".join(inbox.envelopes)


def test_every_kind_of_collection_is_off() -> None:
    """A member left out is collected: a new one of a later sentry-sdk must be decided about, and fails this test."""
    script = """
import json, sentry_sdk
from worker.observability import sentry
sentry._init("http://public@127.0.0.1:9/1", "test")
options = sentry_sdk.get_client().options
print(json.dumps([options["data_collection"], sentry.NOTHING, sorted(sentry_sdk.get_client().integrations)]))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, check=True, timeout=60)
    resolved, ours, integrations = json.loads(done.stdout)
    assert resolved == {**ours, "provided_by_user": True}
    assert integrations == ["atexit", "celery", "logging"]


def test_what_is_no_dsn_is_refused_by_its_setting_name() -> None:
    """A DSN holds a key, so a bad one is not shown."""
    settings: Any = SimpleNamespace(
        sentry_dsn=SecretStr(f"https://{MARKER}"), environment="test", sentry_traces_sample_rate=0.0
    )
    with pytest.raises(SettingsError, match="sentry_dsn") as caught:
        sentry.configure(settings)
    assert MARKER not in str(caught.value)


def test_the_same_cause_is_the_same_issue(inbox: SentryInbox) -> None:
    """Twenty lines about one held provider have one fingerprint: the event's name and the provider."""
    fail(inbox.dsn)
    held = [event for event in inbox.events if event.get("logentry", {}).get("message") == "provider.held"]
    assert len(held) == 20
    assert {tuple(event["fingerprint"]) for event in held} == {("provider.held", "genesys")}
    assert {event["tags"]["provider"] for event in held} == {"genesys"}


def failed(*frames: tuple[str, str, int]) -> Any:
    """The cause of an exception as sentry-sdk collects it, with its frames: module, function, line."""
    told = [{"module": module, "function": function, "lineno": line} for module, function, line in frames]
    values = [{"type": "KeyError", "module": None, "value": MARKER, "stacktrace": {"frames": told}}]
    return sentry.before_send({"exception": {"values": values}}, {})["fingerprint"]


def test_an_exception_is_one_issue_wherever_it_was_reached_from() -> None:
    """Its types and the last function of ours: no line, no way there, nothing of a library below."""
    ours, library = ("worker.calls.runtime", "_make", 7), ("aiohttp.client", "_request", 9)
    cause = ["KeyError", "worker.calls.runtime._make"]
    assert failed(("celery.app", "run", 1), ours, library) == cause
    assert failed(("worker.engine.pool", "_perform", 2), ("worker.calls.runtime", "_make", 8)) == cause
    assert failed(ours, ("tasks.revocations", "revoke", 3)) == ["KeyError", "tasks.revocations.revoke"]
    assert failed(library) == ["KeyError"]


@pytest.mark.parametrize("how", ["stalls", "is away"])
def test_a_sentry_that_does_not_answer_costs_nothing_but_its_reports(how: str) -> None:
    """Neither the forty errors nor the end of the process wait for it longer than they were told to."""
    inbox = SentryInbox(stalls=True)
    try:
        logging_took, ending_took = fail(inbox.dsn if how == "stalls" else f"http://public@127.0.0.1:{free_port()}/1")
    finally:
        inbox.close()
    assert logging_took < SHUTDOWN_TIMEOUT  # a report that waited would take half a minute
    assert ending_took < SHUTDOWN_TIMEOUT + 5


def unwelcome(body: list[Any]) -> Message:
    """A task message as a stranger might write it: nothing hides its arguments."""
    headers = {"lang": "py", "task": "finbourne.invalidate_token", "id": str(uuid.uuid4())}
    return Message(topology.CALLS.name, "finbourne.routine", json.dumps(body).encode(), headers=headers)


UNWELCOME = [
    unwelcome([[{"call_id": "1", "jwe": MARKER, "surprise": {"deep": MARKER}}], {}, {}]),  # no call of ours
    unwelcome([[], {MARKER: 1}, {}]),  # no argument of a task of ours
]


@pytest.mark.executed
def test_a_real_worker_reports_failing_tasks_and_held_providers(
    tmp_path: Path, processes: Processes, inbox: SentryInbox
) -> None:
    """A task that raises with a token in its frames and in its text, and our own credential refused.

    The queue's figures of each call, from its publish to its task.
    """
    url = f"embedded:///{tmp_path / 'broker'}"
    system = System(tmp_path / "system", url, processes, sentry_dsn=inbox.dsn, sentry_traces_sample_rate=1.0)
    system.script({"fault": "status", "status": 401, "operation": "genesys.login"})
    system.start("intake")
    probe = Probe(system)
    worker = probe.start()
    probe.send("probe.end", f"raise {MARKER}")
    system.publish([system.disabled(accounts={"genesys": {"user_id": str(uuid.uuid4())}}) for _ in range(3)])
    wait_until(lambda: {"ValueError", "provider.held"} <= _reported(inbox), 30, "reports")
    wait_until(lambda: _in_queue(inbox, "queue.process") >= _in_queue(inbox, "queue.publish") != set(), 30, "figures")
    assert worker.stop() == 0
    assert MARKER.encode() not in b"".join(inbox.envelopes)
    assert MARKER not in worker.output
    system.close()


def _in_queue(inbox: SentryInbox, operation: str) -> set[tuple[str, str, str]]:
    """The trace, the queue and the id of each message that was published to a queue of calls, or taken from one."""
    found = [
        (transaction["contexts"]["trace"]["trace_id"], span["data"])
        for transaction in inbox.transactions
        for span in transaction["spans"]
        if span["op"] == operation
    ]
    if operation == "queue.process":
        found = [each for each in found if each[1].get("messaging.message.receive.latency", 0) > 0]
    return {(trace, data["messaging.destination.name"], data["messaging.message.id"]) for trace, data in found}


def _reported(inbox: SentryInbox) -> set[str | None]:
    """Exception types and log messages."""
    kinds = {value["type"] for event in inbox.events for value in event.get("exception", {}).get("values", [])}
    return kinds | {event.get("logentry", {}).get("message") for event in inbox.events}


@pytest.mark.executed
def test_a_stalled_sentry_delays_no_revocation(tmp_path: Path, processes: Processes) -> None:
    """While reports pile up, calls are made as fast as ever, none is lost, and the worker still ends in time."""
    inbox = SentryInbox(stalls=True)
    system = System(tmp_path / "system", f"embedded:///{tmp_path / 'broker'}", processes, sentry_dsn=inbox.dsn)
    _, worker, _ = system.start()
    system.publish_all(UNWELCOME * 10)
    wait_until(lambda: inbox.envelopes, 30, "a report to be stuck")
    events = [system.ended(system.session("finbourne", f"sbx-{n}-{uuid.uuid4()}")) for n in range(20)]
    system.wait_closed(system.publish(events), 20)
    rows = [row for event in events for row in system.ledger.calls_of_event(event["id"])]
    assert sum(row.exposure_seconds or 99 for row in rows) / len(rows) < 1.5
    assert sum(system.revoked().values()) == len(events)
    assert worker.stop() == 0
    system.close()
    inbox.close()
