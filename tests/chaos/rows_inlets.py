"""I1 to I4: what comes through a door is safe before it is answered with 2xx, and a redelivery is no second call."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from servers import wait_until

from chaos.deliveries import KINDS, deliver, make_deliveries
from chaos.disk import DISK, SmallDisk
from chaos.rows import RABBITMQ, row
from chaos.scene import Scene

FULL: Final = 10_000
KIND: Final = "security-event-tokens"  # of the rows that are about no kind
LIVES: Final = (0.2, 2.0)  # seconds that a door works before it is killed
STORM: Final = 5  # deliveries of each event at once
AWAY: Final = {"REVOKER_BROKER_URL": "amqp://guest:guest@127.0.0.1:1"}  # where nobody listens


def _once(scene: Scene, events: Sequence[Mapping[str, Any]]) -> list[Exception | None]:
    return deliver(scene.running["door"], events, 1)


def _in_a_storm(scene: Scene, events: Sequence[Mapping[str, Any]]) -> list[Exception | None]:
    return deliver(scene.running["door"], events, STORM)


def _killed(scene: Scene) -> None:
    """Kill the door again and again while the deliveries come, until they are all taken."""
    scene.start()
    scene.start("door")
    kills = 0
    with scene.publishing():
        while len(scene.confirmed) < 0.9 * len(scene.load.events) and kills < 40:
            wait_until(lambda: "door.listening" in scene["door"].output, 30, "the door to listen")
            time.sleep(scene.chance.uniform(*LIVES))
            scene.kill9("door")
            scene.start("door")
            kills += 1
    scene.remark = f"({kills} kills)"
    scene.drain()


for _kind in KINDS:

    @row(f"I1 {_kind}", load=make_deliveries(_kind), deliver=_once, fast=(), full=FULL, patience=300.0, latency=0.02)
    def kill9_of_a_door(scene: Scene) -> None:
        """A door is killed -9 again and again while deliveries come: each that it answered with 2xx is done, once."""
        _killed(scene)


@row("I2", brokers=(RABBITMQ,), load=make_deliveries(KIND), deliver=_once, fast=(), patience=300.0, latency=0.02)
def a_broker_away_from_a_door(scene: Scene) -> None:
    """The broker is away from the door, which is killed -9 meanwhile: all is taken into the outbox, and leaves it."""
    scene.start()
    scene.start("door", env=AWAY)
    scene.publish(len(scene.load.events) // 2)
    scene.kill9("door")
    scene.start("door", env=AWAY)
    scene.publish()
    assert not scene.revoked(), "something left without a broker"
    scene.kill9("door")
    scene.start("door")
    scene.drain()


@row(
    "I3",
    brokers=(RABBITMQ,),
    load=make_deliveries(KIND),
    deliver=_once,
    small_disk="ledger",
    fast=(),
    patience=300.0,
    latency=0.02,
)
def a_disk_that_is_full_under_the_outbox(scene: Scene) -> None:
    """Broker away and disk full: nothing is answered with 2xx; with room again all is taken, none twice."""
    scene.start("door", env=AWAY)
    scene.publish(len(scene.load.events) // 2)
    disk = SmallDisk(scene.system.home.parent / DISK)
    disk.fill()
    taken = len(scene.confirmed)
    with scene.publishing():
        time.sleep(3)
        assert len(scene.confirmed) - taken < len(scene.load.events) // 2, "more was taken than there was room for"
        disk.empty()
    scene.kill9("door")
    scene.start()
    scene.start("door")
    scene.drain()


@row("I4", load=make_deliveries(KIND), deliver=_in_a_storm, fast=(), patience=300.0, latency=0.02)
def a_storm_of_redeliveries(scene: Scene) -> None:
    """Every delivery comes five times at once, and again after a kill -9: all are answered alike, one call is made."""
    scene.start()
    scene.start("door")
    scene.publish(len(scene.load.events) // 2)
    scene.kill9("door")
    scene.start("door")
    scene.publish()
    again = scene.load.events[:20]
    wait_until(lambda: not any(_once(scene, again)), 30, "redeliveries to be taken as the first ones were")
    scene.drain()
