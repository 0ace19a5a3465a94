"""The row of each alert: a fault that lasts until somebody must be told, under a load that goes on before and after."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from chaos.desk import replay
from chaos.load import make_flood
from chaos.proxy import Fault
from chaos.rows import RABBITMQ, Row, Scenario
from chaos.rows_provider import UNLIMITED
from chaos.rows_worker import DEAD_TOKEN, IN_FLIGHT
from chaos.scene import AT_ONCE, Scene, wait_said
from worker.broker import messages, topology

# Seconds of the bench's clock; each is a minute of the rules' clock.
CALM: Final = 12.0
FAULT: Final = 20.0
REST: Final = 45.0
EVENTS: Final = 600
FAULTY: Final = "finbourne"  # the provider that fails, where one does
ALL_DEAD: Final = ("--all", "--yes", "--reason", "looked at")
FLOOD_LIMIT: Final = 10
UNPROVED_LIMIT: Final = 5

_rows: Final[dict[str, Row]] = {}


def fault_of(alert: str, **needs: Any) -> Callable[[Scenario], Scenario]:
    """Make a function the scenario for *alert*, empty for none; *needs* are the members of `Row`."""

    def register(scenario: Scenario) -> Scenario:
        _rows[alert] = Row(alert or "healthy", scenario, brokers=(RABBITMQ,), full=EVENTS, **needs)
        return scenario

    return register


def rows() -> dict[str, Row]:
    """The row of each alert, by its name; that of none, in which nothing is wrong, is the first."""
    return dict(_rows)


@fault_of("")
def nothing(scene: Scene) -> None:
    """Nothing is wrong."""
    with _load(scene, lasting=REST):
        pass


@fault_of("RevokerProcessMissing", duplicates=IN_FLIGHT, harmless=DEAD_TOKEN)
def worker_killed(scene: Scene) -> None:
    """The worker is killed, and nobody starts it again for a while."""
    with _load(scene):
        scene.kill9("worker")
        scene.stand_still(FAULT)
        scene.start("worker", env=UNLIMITED)


@fault_of("RevokerConsumerStalled", links=("worker-broker",), duplicates=IN_FLIGHT, harmless=DEAD_TOKEN)
def worker_cut_off(scene: Scene) -> None:
    """The worker's connections to the broker are cut, and new ones refused."""
    with _load(scene):
        _cut(scene, "worker-broker")


@fault_of("RevokerLedgerBehind", links=("recorder-ledger",))
def recorder_cut_off(scene: Scene) -> None:
    """The recorder's connections to the database are cut, and new ones refused."""
    with _load(scene):
        _cut(scene, "recorder-ledger")


@fault_of("RevokerProviderHeld")
def provider_down(scene: Scene) -> None:
    """A provider answers 503 to everything."""
    with _load(scene):
        scene.system.script({"fault": "status", "status": 503, "provider": FAULTY})
        scene.stand_still(FAULT)
        scene.system.heal()


@fault_of("RevokerCallForbidden")
def calls_forbidden(scene: Scene) -> None:
    """A provider answers 403 to five calls; somebody grants the permission and replays them."""
    with _load(scene):
        _dead_for_a_while(scene, 403)


@fault_of("RevokerDeadLetterWaiting")
def calls_refused(scene: Scene) -> None:
    """A provider answers 422 to five calls; somebody looks at the dead letters and replays them."""
    with _load(scene):
        _dead_for_a_while(scene, 422)


@fault_of(
    "RevokerFloodWaiting",
    load=make_flood,
    settings={"flood": {"disabled": FLOOD_LIMIT, "disabled_of_all": 1000, "ended": 10_000, "ended_of_all": 10_000}},
)
def flood(scene: Scene) -> None:
    """A feed disables thirty people at once, twenty more than it may; somebody releases them."""
    with _load(scene):
        scene.stand_still(FAULT)
        scene.system.revoker("flood", "release", *ALL_DEAD)


@fault_of(
    "RevokerUnprovedBudgetSpent",
    settings={"storage": {"unproved_letters": UNPROVED_LIMIT}},
    strange_reasons=frozenset({"event.access_denied"}),
)
def nobody_listed(scene: Scene) -> None:
    """A source that nobody listed sends more events than the ledger keeps of such; somebody discards them."""
    with _load(scene):
        unlisted = [{**scene.system.disabled(), "source": "urn:test:unlisted"} for _ in range(3 * UNPROVED_LIMIT)]
        scene.publish_strange([messages.event(json.dumps(each).encode(), each["type"]) for each in unlisted])
        scene.stand_still(FAULT)
        while scene.queues().get(topology.UNPROVED_QUEUE.name) or scene.system.ledger.dead_letters():
            scene.system.revoker("dlq", "discard", *ALL_DEAD)
            scene.stand_still(1)


@fault_of("RevokerRevocationOverdue", settings={"retry": {"base": 1, "cap": 1, "max_attempts": 100}})
def some_calls_fail_for_long(scene: Scene) -> None:
    """A provider answers 500 to three calls again and again, and serves all others."""
    with _load(scene):
        _fail(scene, 500, calls=3)  # five in a row would have it held
        scene.stand_still(FAULT + 5)
        scene.system.heal()


@fault_of("RevokerExposureBudgetBurning", settings={"worker": {"in_flight_routine": 50}})
def provider_slow(scene: Scene) -> None:
    """A provider takes two minutes for each answer, and gives it."""
    with _load(scene):
        scene.system.script({"fault": "slow", "seconds": 2, "provider": FAULTY})
        scene.stand_still(FAULT)
        scene.system.heal()


@contextlib.contextmanager
def _load(scene: Scene, lasting: float = CALM + FAULT + REST) -> Iterator[None]:
    """Everything runs, and is under load from before the fault, which the block is, until long after it."""
    for event in scene.load.events:
        del event["time"]  # else it would have happened when the load was drawn
    for name in ("recorder", "intake", "worker"):
        [process] = scene.start(name, env=UNLIMITED)
        wait_said(process, "ready")
    with scene.publishing(over=lasting):
        scene.stand_still(CALM)
        scene.broken()
        yield
        scene.healed()
        scene.stand_still(REST)


def _cut(scene: Scene, name: str) -> None:
    line = scene.lines[name]
    line.break_with(Fault(refuse=True))
    line.reset()
    scene.stand_still(FAULT)
    line.heal()


def _dead_for_a_while(scene: Scene, status: int) -> None:
    _fail(scene, status)
    scene.stand_still(FAULT + 5)
    scene.system.heal()
    replay(scene)


def _fail(scene: Scene, status: int, calls: int = 5) -> None:
    """Have the next calls at the provider fail that are not yet on their way."""
    open_events = [event["id"] for event in scene.load.events if event["id"] not in scene.confirmed]
    units = {unit.event_id: unit for unit in scene.load.units if unit.provider == FAULTY}
    later = open_events[AT_ONCE:]  # a batch is being published
    failing = [units[event_id] for event_id in later if event_id in units][:calls]
    scene.system.script(*({"fault": "status", "status": status, "match": unit.key} for unit in failing))
