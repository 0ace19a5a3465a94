"""What goes wrong around the worker: it waits, says so, loses nothing, and hammers nobody."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from locked_file import locked
from servers import Daemon, Processes, RabbitNode, free_port, wait_until
from system import SOURCE, System, digest

from worker.broker import messages, topology
from worker.broker.publication import Message

USERS = [str(uuid.UUID(int=n)) for n in range(1, 41)]
MALFORMED = {
    "event.malformed_json": [b"", b"{", b'{"a":1,"a":2}', b"\xff\xfe", b'{"n":NaN}', b"[" * 10_000],
    "event.not_cloudevents": [b"{}", b"[]", b"42", b'{"specversion":"0.3"}'],
    "event.too_large": [b" " * 65_537],
}


def token() -> str:
    """A token the sandbox has never seen, live until it is revoked."""
    return f"sbx-{uuid.uuid4()}"


def test_malformed_events_are_dead_letters_and_the_process_lives(system: System) -> None:
    """Between good events: the same process goes on, each bad one has its reason, none is lost."""
    intake, *_ = system.start()
    good = [system.ended(system.session("finbourne", token())) for _ in range(3)]
    bodies = [body for several in MALFORMED.values() for body in several]
    bad = [Message(topology.EVENTS.name, "session.ended", body) for body in bodies]
    fine = [messages.event(json.dumps(event).encode(), event["type"]) for event in good]
    system.publish_all([fine[0], *bad[:5], fine[1], *bad[5:], fine[2]])
    system.wait_closed([event["id"] for event in good])
    wait_until(lambda: len(system.ledger.dead_letters()) == len(bad), 30, "every bad event to be a dead letter")
    assert sorted(letter.reason for letter in system.ledger.dead_letters()) == sorted(
        reason for reason, several in MALFORMED.items() for _ in several
    )
    assert intake.running


def test_what_is_no_call_of_ours_in_a_task_queue_is_a_dead_letter(system: System) -> None:
    """A task's argument that is no provider call, and a body that is no JSON: rejected, seen, and the worker lives."""
    _, worker, _ = system.start()
    good = system.ended(system.session("finbourne", token()))
    strange = [[[{"call_id": "x"}], {}, {}], [[], {}, {}], [["token"], {}, {}]]
    system.publish_all([_task(json.dumps(body).encode()) for body in strange] + [_task(b"\xff{")])
    system.wait_closed(system.publish([good]))
    wait_until(lambda: len(system.ledger.dead_letters()) == 4, 30, "four dead letters")
    reasons = [letter.reason for letter in system.ledger.dead_letters()]
    assert sorted(reasons) == ["task.invalid_argument"] * 3 + ["task.malformed_json"]
    assert worker.running


def test_a_refused_credential_is_held_not_hammered(system: System) -> None:
    """Forty urgent calls: those under way are refused, then nobody asks; all are done once it is mended."""
    system.script({"fault": "status", "status": 401, "operation": "genesys.delete_token"})
    system.start()
    ids = system.publish([system.disabled(accounts={"genesys": {"user_id": user}}) for user in USERS])
    wait_until(lambda: _states(system, ids, "genesys").count("held") > 30, 30, "the calls to be held")
    refused = [entry for entry in system.journal() if entry["operation"] == "genesys.delete_token"]
    assert len(refused) <= 2 * 64
    system.heal()
    system.wait_closed(ids, 90)
    assert set(_states(system, ids, "genesys")) == {"accepted"}
    assert {entry["key"] for entry in system.journal() if entry["revoked"]} == set(USERS)


def test_a_users_bad_token_never_holds_the_provider(system: System) -> None:
    """Twenty dead tokens in a row say nothing of our credential: a disabled user is out at once."""
    system.start()
    secret = token()
    dead = [system.ended(system.session("genesys", secret)) for _ in range(20)]
    system.wait_closed(system.publish(dead))
    event = system.disabled(accounts={"genesys": {"user_id": USERS[0]}})
    system.wait_closed(system.publish([event]))
    assert system.states(event["id"])["genesys"] == "accepted"


def test_with_the_ledger_locked_revocations_go_on_and_outcomes_wait(system: System) -> None:
    """The provider sees the call while the ledger is away; afterwards the ledger knows of it."""
    system.start()
    with locked(system.home / "ledger.sqlite3"):
        secret = token()
        event = system.ended(system.session("finbourne", secret))
        system.publish([event])
        wait_until(lambda: digest(secret) in system.revoked(), 20, "the token to die")
    system.wait_closed([event["id"]])
    assert system.states(event["id"]) == {"finbourne": "accepted"}


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_a_stop_lets_the_calls_under_way_finish(system: System, seed: str) -> None:
    """SIGTERM: exit 0, one call, its outcome recorded; the order of the shutdown hangs on no hash seed."""
    system.start("intake", "recorder")
    worker = system.processes.start("revoker", "worker", env={**system.env, "PYTHONHASHSEED": seed})
    secret = token()
    system.script({"fault": "slow", "match": secret, "seconds": 2})
    event = system.ended(system.session("finbourne", secret))
    system.publish([event])
    wait_until(system.journal, 20, "the call to be under way")
    assert worker.stop() == 0
    system.start("worker")
    system.wait_closed([event["id"]])
    assert len(system.journal()) == 1


@pytest.fixture
def on_private_rabbitmq(private_rabbitmq: RabbitNode, tmp_path: Path, processes: Processes) -> Iterator[System]:
    """A system on a broker of the test's own, which it may stop and kill."""
    made = System(tmp_path / "system", private_rabbitmq.url(), processes)
    yield made
    made.close()


@pytest.mark.parametrize("how", ["stop", "kill9"])
def test_a_broker_that_restarts_loses_nothing(
    on_private_rabbitmq: System, private_rabbitmq: RabbitNode, how: str
) -> None:
    """Every process waits for it and goes on by itself; what was confirmed before is done after."""
    system = on_private_rabbitmq
    running = system.start()
    events = [system.ended(system.session("finbourne", token()), event_id=f"{how}-{n}") for n in range(200)]
    ids = system.publish(events)
    getattr(private_rabbitmq, how)()
    private_rabbitmq.start()
    system.wait_closed(ids, 90)
    assert sum(system.revoked().values()) == 200
    assert all(process.running for process in running)


@pytest.mark.parametrize("host", ["127.0.0.1", "broker.invalid"])
def test_a_broker_that_is_away_at_the_start_is_waited_for(tmp_path: Path, processes: Processes, host: str) -> None:
    """Down, or of a name that nobody resolves: one clear line, no stack trace; SIGTERM ends the waiting with 0."""
    url = f"amqp://guest:secret-password@{host}:{free_port()}//"
    system = System(tmp_path / "system", url, processes, broker_accept_risk="plaintext")
    running = system.start()
    for process in running:
        _says(process, "broker.unreachable")
    for process in running:
        assert process.stop() == 0
        assert "Traceback" not in process.output
        assert "secret-password" not in process.output
    system.close()


def test_a_broker_that_refuses_the_worker_is_asked_seldom(
    rabbitmq: RabbitNode, tmp_path: Path, processes: Processes
) -> None:
    """A wrong password: one line without it. Celery alone logs in hundreds of times a second, and shows a trace."""
    system = System(tmp_path / "system", f"amqp://guest:wrong-password@127.0.0.1:{rabbitmq.port}//", processes)
    [worker] = system.start("worker")
    _says(worker, "broker.unreachable")
    assert worker.stop() == 0
    assert worker.output.count("broker.unreachable") == 1
    assert "Traceback" not in worker.output
    assert "wrong-password" not in worker.output
    system.close()


def _says(process: Daemon, text: str) -> None:
    wait_until(lambda: text in process.output, 30, f"{process.name} to say that the broker is away")


def _states(system: System, ids: list[str], provider: str) -> list[str]:
    rows = [row for event_id in ids for row in system.ledger.calls_of_event(event_id, SOURCE)]
    return [str(row.state) for row in rows if row.provider == provider]


def _task(body: bytes) -> Message:
    headers = {
        "lang": "py",
        "task": "finbourne.invalidate_token",
        "id": str(uuid.uuid4()),
        "root_id": None,
        "parent_id": None,
        "group": None,
        "retries": 0,
        "eta": None,
        "expires": None,
        "timelimit": [None, None],
    }
    return Message(topology.CALLS.name, "finbourne.routine", body, headers=headers)
