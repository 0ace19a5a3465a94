"""What nobody should send: the same processes go on, each message is a dead letter with a reason, none is run."""

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import pytest
from malformed import Envelope, call, malformed, put
from memory import peak_mb
from servers import Daemon, wait_until
from system import System, digest

from tasks.sealing import seal
from worker import broker
from worker.broker import messages, topology


def declared(system: System) -> str:
    """Where the broker is, which knows the topology now."""
    with broker.connect(system.broker_url) as connection:
        topology.declare(connection, system.providers)
    return system.broker_url


def sealed(system: System, number: int) -> str:
    """A token of its own for each, so that the providers' journal tells which was run."""
    return seal(f"sbx-malformed-{number}", "finbourne", system.key)


def test_a_malformed_message_in_a_task_queue_harms_nobody(system: System, tmp_path: Path) -> None:
    """Between good calls: same process, a dead letter with its reason each, no token of theirs touched."""
    cases = malformed(tmp_path / "canary")
    bad = [case.envelope(sealed(system, number)) for number, case in enumerate(cases)]
    good = [messages.call(call(seal(f"sbx-good-{n}", "finbourne", system.key))) for n in range(3)]
    _, worker, _ = system.start()
    system.publish_all(good[:1])
    put(declared(system), topology.CALLS, "finbourne.routine", bad[: len(bad) // 2])
    system.publish_all(good[1:2])
    put(declared(system), topology.CALLS, "finbourne.routine", bad[len(bad) // 2 :])
    system.publish_all(good[2:])
    wait_until(lambda: len(system.ledger.dead_letters()) >= len(bad), 60, "every one to be a dead letter")
    wait_until(lambda: not system.queued(), 20, "the queues to be empty")
    letters = system.ledger.dead_letters()
    assert Counter(letter.reason for letter in letters) == Counter(case.reason for case in cases)
    assert set(system.revoked()) == {digest(f"sbx-good-{n}") for n in range(3)}
    assert_unharmed([worker], tmp_path)


def test_a_malformed_message_in_the_event_queue_harms_nobody(system: System, tmp_path: Path) -> None:
    """The same messages where producers can write; a refused event is told of by its body."""
    cases = malformed(tmp_path / "canary")
    bad = [case.envelope(sealed(system, number)) for number, case in enumerate(cases)]
    good = [system.ended(system.session("finbourne", f"sbx-good-{n}")) for n in range(2)]
    running = system.start()
    ids = system.publish(good[:1])
    put(declared(system), topology.EVENTS, "session.ended", bad)
    ids += system.publish(good[1:])
    system.wait_closed(ids)
    wait_until(lambda: len(system.ledger.dead_letters()) >= len(bad), 60, "every one to be a dead letter")
    wait_until(lambda: not system.queued(), 30, "the queues to be empty")
    letters = system.ledger.dead_letters()
    assert {letter.letter.body_sha256 for letter in letters} == {sha256(each.body).hexdigest() for each in bad}
    assert {letter.reason.split(".")[0] for letter in letters} == {"event"}
    assert set(system.revoked()) == {digest(f"sbx-good-{n}") for n in range(2)}
    assert_unharmed(running, tmp_path)


def assert_unharmed(running: Iterable[Daemon], tmp_path: Path) -> None:
    """The processes are those that were started, none fell over inside, and no pickle was opened."""
    for process in running:
        assert process.running
        assert "Traceback" not in process.output
    assert not (tmp_path / "canary").exists()


@pytest.mark.executed
def test_far_too_large_messages_are_not_kept_in_memory(system: System) -> None:
    """A backlog of 200 MB in each queue: refused one by one, while each process stays within 100 MB of its start."""
    large = [Envelope(b"%d" % number + b" " * 10_000_000, messages.call(call("x")).headers) for number in range(20)]
    put(declared(system), topology.EVENTS, "session.ended", large)
    put(declared(system), topology.CALLS, "finbourne.routine", large)
    running = system.start()
    wait_until(lambda: len(system.ledger.dead_letters()) == 40, 60, "every one to be a dead letter")
    assert {letter.reason for letter in system.ledger.dead_letters()} == {"event.too_large", "task.too_large"}
    for process in running:
        assert peak_mb(process.pid) < 200
