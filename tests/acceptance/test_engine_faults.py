"""Hundreds of calls in flight when something goes wrong: none is lost, and no more repeated than were in flight."""

import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from provider_calls import session_call
from servers import Daemon, Processes, RabbitNode, wait_until
from system import System, digest

from tasks.call import Lane, ProviderCall
from tasks.providers import finbourne, genesys
from tasks.sealing import seal
from worker.broker import messages
from worker.ledger.rows import CallRow

CALLS = 900
IN_FLIGHT = 250  # of each provider
URGENT = 10  # two seconds' worth of Genesys' rate limit, which bounds that lane
OPERATIONS = {"finbourne": finbourne.INVALIDATE_TOKEN, "genesys": genesys.DELETE_TOKENS_ME}


def calls(system: System, count: int, *providers: str, lane: Lane = Lane.ROUTINE) -> list[ProviderCall]:
    """Finbourne and Genesys calls, by turns, each with a token of its own."""
    asked = [(number, providers[number % len(providers)]) for number in range(count)]
    return [
        session_call(f"engine-{number}", name, lane=lane, jwe=seal(f"sbx-engine-{number}", name, system.key))
        for number, name in asked
    ]


@pytest.fixture
def on_private_rabbitmq(private_rabbitmq: RabbitNode, tmp_path: Path, processes: Processes) -> Iterator[System]:
    """A system on a broker of the test's own, which it may kill; every answer takes 200 ms."""
    made = System(tmp_path / "system", private_rabbitmq.url(), processes)
    made.script({"fault": "slow", "seconds": 0.2})
    yield made
    made.close()


def busy(system: System, count: int = CALLS) -> Daemon:
    """Start a worker with *count* calls to make; it is in the middle of them."""
    system.publish_all([messages.call(call) for call in calls(system, count, "finbourne", "genesys")])
    [worker] = system.start("worker")
    wait_until(lambda: len(system.revoked()) > 2 * IN_FLIGHT, 30, "the worker to be busy")
    return worker


def assert_nothing_lost(system: System, count: int = CALLS) -> int:
    """Every token is dead and every call settled; returns how many calls were made more than once."""
    wait_until(lambda: set(system.queued()) == {"revocation.outcomes"}, 80, "every message to be acknowledged")
    system.start("recorder")
    wait_until(lambda: _settled(system, count) == count, 60, "every call to be settled")
    assert set(system.revoked()) == {digest(f"sbx-engine-{number}") for number in range(count)}
    made = Counter(entry["key"] for entry in system.journal() if entry["operation"] in OPERATIONS.values())
    return sum(times - 1 for times in made.values())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL])
def test_a_worker_that_ends_in_the_middle_loses_nothing(on_private_rabbitmq: System, number: signal.Signals) -> None:
    """A warm stop repeats no call at all, a cold one and kill -9 at most those in flight."""
    worker = busy(on_private_rabbitmq)
    worker.stop(number, timeout=25)
    on_private_rabbitmq.start("worker")
    repeated = assert_nothing_lost(on_private_rabbitmq)
    assert repeated <= (0 if number is signal.SIGTERM else 2 * IN_FLIGHT)


def test_a_broker_that_is_killed_in_the_middle_loses_nothing(
    on_private_rabbitmq: System, private_rabbitmq: RabbitNode
) -> None:
    """The same worker goes on by itself when the broker is back."""
    worker = busy(on_private_rabbitmq)
    private_rabbitmq.kill9()
    private_rabbitmq.start()
    repeated = assert_nothing_lost(on_private_rabbitmq)
    assert worker.running
    assert repeated <= 2 * IN_FLIGHT


def test_calls_in_flight_outlive_a_reconnect(on_private_rabbitmq: System, private_rabbitmq: RabbitNode) -> None:
    """A call that waits for its provider while the broker is away takes in the answer; nothing stands still."""
    system = on_private_rabbitmq
    system.heal()
    system.script({"fault": "slow", "seconds": 3.0, "times": 5})
    system.publish_all([messages.call(call) for call in calls(system, 5, "finbourne")])
    [worker] = system.start("worker")
    wait_until(lambda: len(system.revoked()) == 5, 30, "the calls to be made")
    private_rabbitmq.kill9()
    wait_until(lambda: worker.output.count("revocation.attempted") == 5, 10, "the answers, without a broker")
    private_rabbitmq.start()
    assert assert_nothing_lost(system, 5) <= 5
    assert worker.running


def test_a_black_hole_holds_up_nobody_else(system: System) -> None:
    """With a thousand calls to a provider that hangs, it is asked its share and the others are served at once."""
    system.script({"fault": "slow", "seconds": 9.0, "provider": "genesys-eu"})
    system.publish_all([messages.call(call) for call in calls(system, 1000, "genesys-eu")])
    system.start("worker")
    wait_until(lambda: _asked(system, "genesys-eu") == IN_FLIGHT, 20, "the hanging provider to be full")
    began = time.monotonic()
    system.publish_all([messages.call(call) for call in calls(system, 200, "finbourne")])
    urgent = calls(system, URGENT, "genesys-eu", lane=Lane.URGENT)
    system.publish_all([messages.call(call) for call in urgent])
    wait_until(lambda: _asked(system, "finbourne") == 200, 8, "the others to be served")
    wait_until(lambda: _asked(system, "genesys-eu") == IN_FLIGHT + URGENT, 8, "urgent calls to have room of their own")
    assert time.monotonic() - began < 9


def test_each_queue_has_its_own_limit(broker_url: str, tmp_path: Path, processes: Processes) -> None:
    """Unacknowledged messages of a provider's lane are at most what the settings say, on both brokers."""
    limits = {"in_flight_routine": 7, "in_flight_urgent": 3}
    system = System(tmp_path / "system", broker_url, processes, worker=limits)
    system.script({"fault": "slow", "seconds": 4.0})
    for lane in Lane:
        system.publish_all([messages.call(call) for call in calls(system, 20, "finbourne", "genesys", lane=lane)])
    system.start("worker")
    wait_until(lambda: len(system.journal()) >= 20, 20, "the worker to be full")
    time.sleep(0.5)
    assert Counter(entry["provider"] for entry in system.journal()) == {"finbourne": 10, "genesys": 10}
    system.close()


def test_calls_are_done_retried_and_given_up_on_both_brokers(system: System) -> None:
    """The ledger tells the same story on both."""
    system.start()
    tokens = [f"sbx-{uuid.uuid4()}" for _ in range(3)]
    system.script({"fault": "status", "status": 503, "times": 2, "match": tokens[1]})
    system.script({"fault": "status", "status": 403, "match": tokens[2]})
    ids = system.publish([system.ended(system.session("finbourne", each)) for each in tokens])
    system.wait_closed(ids)
    assert [system.states(each)["finbourne"] for each in ids] == ["accepted", "accepted", "dead"]


def _settled(system: System, most: int) -> int:
    rows, _ = system.ledger.changes_since(limit=2 * most)
    return sum(isinstance(row, CallRow) and row.state.is_settled for row in rows)


def _asked(system: System, provider: str) -> int:
    return sum(entry["provider"] == provider and "login" not in entry["operation"] for entry in system.journal())
