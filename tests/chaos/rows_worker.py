"""W: what happens to the worker, the intake and the recorder themselves."""

import signal
from typing import Final

from servers import wait_until

from chaos.proxy import Fault, Way
from chaos.rows import EMBEDDED, RABBITMQ, row
from chaos.scene import Scene, wait_said
from worker.broker import topology

ON_RABBITMQ: Final = (RABBITMQ,)  # `fast=`: on the embedded broker what a dead process held waits for its lease, 15 s
IN_FLIGHT: Final = 3 * 10 + 5  # calls one worker may hold: three providers' routine lanes and one urgent lane
BATCH: Final = 220  # calls of the 200 events that the intake has on their way together
DEATHS: Final = topology.DELIVERY_LIMIT + 1  # deliveries until the broker gives a message up
DEAD_TOKEN: Final = "a second call finds a dead token, already_revoked, and one line of the ledger tells of both"


def fail_some_once(scene: Scene) -> None:
    """The first call for every fifth token fails. With all of them failing the provider would be held, not retried."""
    scene.system.script(*({"fault": "status", "match": unit.key, "times": 1} for unit in scene.load.units[::5]))


@row("W1", duplicates=IN_FLIGHT, harmless=DEAD_TOKEN)
def kill9_with_calls_in_flight(scene: Scene) -> None:
    """Kill -9 the worker with calls in flight."""
    scene.start()
    scene.publish()
    scene.wait_revoked(0.2)
    scene.kill9("worker")
    scene.start("worker")


@row("W2", fast=ON_RABBITMQ, duplicates=IN_FLIGHT, harmless=DEAD_TOKEN)
def kill9_between_answer_and_ack(scene: Scene) -> None:
    """Kill -9 between the provider's answer and the ack: two calls at most, the second an idempotent success."""
    scene.start()
    scene.publish()
    scene.wait_revoked(0.2)
    scene["worker"].freeze()
    scene.wait_quiet()
    scene.kill9("worker")
    scene.start("worker")
    scene.drain()
    assert max(scene.calls_of(scene.load.units).values()) <= 2


@row("W3", brokers=ON_RABBITMQ, links=("worker-broker",), duplicates=IN_FLIGHT, harmless=DEAD_TOKEN)
def kill9_between_retry_and_ack(scene: Scene) -> None:
    """Kill -9 between a retry's publish and the ack: the broker has the retry, its confirm never arrived."""
    fail_some_once(scene)
    scene.start()
    scene.publish()
    scene.wait_revoked(0.1)
    scene.lines["worker-broker"].break_with(Fault(stuck=frozenset({Way.DOWN})))
    scene.wait_quiet()
    scene.kill9("worker")
    scene.lines["worker-broker"].heal()
    scene.start("worker")
    scene.drain()
    assert max(scene.calls_of(scene.load.units).values()) <= 3


@row("W3", brokers=(EMBEDDED,), fast=(), duplicates=IN_FLIGHT, harmless=DEAD_TOKEN)
def kill9_among_retries(scene: Scene) -> None:
    """Kill -9 while calls are being retried."""
    fail_some_once(scene)
    scene.start()
    scene.publish()
    scene.wait_revoked(0.1)
    scene.kill9("worker")
    scene.start("worker")
    scene.drain()
    assert max(scene.calls_of(scene.load.units).values()) <= 3


@row("W4")
def sigterm_with_calls_in_flight(scene: Scene) -> None:
    """SIGTERM the worker with calls in flight: exit 0 within the grace, no call repeated."""
    scene.start()
    scene.publish()
    scene.wait_revoked(0.2)
    assert scene.stop("worker") == 0
    scene.start("worker")


@row("W5", fast=ON_RABBITMQ, settings={"worker": {"shutdown_grace": 1}}, duplicates=IN_FLIGHT, harmless=DEAD_TOKEN)
def sigterm_then_sigkill(scene: Scene) -> None:
    """SIGTERM with calls longer than the grace, then SIGKILL."""
    slow = scene.chance.sample(scene.load.units, 10)
    scene.system.script(*({"fault": "slow", "seconds": 5, "match": unit.key, "times": 1} for unit in slow))
    scene.start()
    scene.publish()
    wait_until(lambda: scene.calls_of(slow), 30, "a long call to be in flight")
    worker = scene["worker"]
    worker.send_signal(signal.SIGTERM)
    wait_until(lambda: "worker.gives_back" in worker.output or not worker.running, 10, "the grace to be over")
    scene.kill9("worker")
    scene.start("worker")


@row(
    "W6",
    fast=(),  # on the embedded broker each death costs a lease of 15 s
    duplicates=DEATHS,
    harmless=DEAD_TOKEN,
    reasons=frozenset({"broker.delivery_limit"}),
    patience=300.0,
)
def one_event_kills_its_process(scene: Scene) -> None:
    """One event crashes its process each time, a second after it began: a dead letter after 21; the others go on."""
    order = [event["id"] for event in scene.load.events]
    last = max(order.index(unit.event_id) for unit in scene.load.units if unit.provider == "finbourne")
    poison = next(unit for unit in scene.load.units if (unit.event_id, unit.provider) == (order[last], "finbourne"))
    scene.system.script({"fault": "slow", "seconds": 60, "match": poison.key})
    scene.declare()  # else the first batch finds no exchange, and goes to the end of the line, behind the poison
    scene.start()
    scene.publish(last)
    # A call that waits for too long is tried anew: nothing else may be in its way.
    scene.system.wait_closed(scene.confirmed, scene.row.patience)
    scene.publish()
    for death in range(1, DEATHS + 1):
        scene.wait_asked(poison, death)
        scene.wait_quiet(1.0)
        scene.kill9("worker")
        scene.start("worker")
    scene.drain()
    assert scene.calls_of([poison])[poison.key] == DEATHS
    assert [letter.reason for letter in scene.system.ledger.dead_letters()] == ["broker.delivery_limit"]


@row("W7", fast=())
def rolling_restart(scene: Scene) -> None:
    """Two workers, restarted in turn five times under load: nothing lost, nothing dead, nothing repeated."""
    for worker in scene.start("worker", "worker", "intake", "recorder")[:2]:
        wait_said(worker, " ready.")
    with scene.publishing(over=8):
        for share in (0.1, 0.2, 0.3, 0.4, 0.5):
            scene.wait_revoked(share)
            assert scene.stop("worker") == 0
            [new] = scene.start("worker")
            wait_said(new, " ready.")


@row("W8", fast=ON_RABBITMQ, duplicates=2 * BATCH, harmless=DEAD_TOKEN)
def intake_and_recorder_killed(scene: Scene) -> None:
    """Kill -9 intake and recorder in the middle of their batches, twice: no row of the ledger is doubled."""
    scene.start()
    with scene.publishing(over=4):
        for share in (0.1, 0.4):
            scene.wait_revoked(share)
            for name in ("intake", "recorder"):
                scene.kill9(name)
                scene.start(name)
