"""E: the engine at work, 500 calls of 200 ms in flight, when its worker or its broker ends."""

import signal
from typing import Any, Final

from servers import wait_until

from chaos.rows import row
from chaos.rows_worker import DEAD_TOKEN, ON_RABBITMQ
from chaos.scene import Scene
from worker.broker import topology

ROUTINE: Final = 225  # calls in flight, for each of two providers
URGENT: Final = 50
BUSY: Final[dict[str, Any]] = {
    "brokers": ON_RABBITMQ,  # the same engine on the embedded broker is ended in W1, W4 and W5
    "fast": (),
    "providers": ("finbourne", "genesys"),
    "settings": {"worker": {"in_flight_routine": ROUTINE, "in_flight_urgent": URGENT}},
    "full": 6000,
    "latency": 0.2,
}
REPEATS: Final[dict[str, Any]] = {"duplicates": 2 * ROUTINE + URGENT, "harmless": DEAD_TOKEN}
ONE_REQUEST: Final = {
    "REVOKER_PROVIDERS__GENESYS__RATE_LIMIT": "0",
    "REVOKER_PROVIDERS__GENESYS__PROOF_PROBE": "false",
}


@row("E1", **BUSY)
def engine_terminated(scene: Scene) -> None:
    """SIGTERM with 500 calls in flight: exit 0, and no call is repeated."""
    _make_busy(scene)
    assert scene.stop("worker") == 0
    scene.start("worker", env=ONE_REQUEST)


@row("E2", **BUSY, **REPEATS)
def engine_quit(scene: Scene) -> None:
    """SIGQUIT, the cold stop, with 500 calls in flight."""
    _make_busy(scene)
    scene.running["worker"].pop().stop(signal.SIGQUIT, timeout=25)
    scene.start("worker", env=ONE_REQUEST)


@row("E3", **BUSY, **REPEATS)
def engine_killed(scene: Scene) -> None:
    """Kill -9 with 500 calls in flight."""
    _make_busy(scene)
    scene.kill9("worker")
    scene.start("worker", env=ONE_REQUEST)


@row("E4", **BUSY, **REPEATS, private=True, within=30.0)
def broker_killed_under_the_engine(scene: Scene) -> None:
    """Kill -9 the broker with 500 calls in flight, and start it again: the same worker goes on by itself."""
    _make_busy(scene)
    scene.node.kill9()
    scene.node.start()
    scene.healed()


def _make_busy(scene: Scene) -> None:
    """Queue every call, and have a worker in the middle of them."""
    scene.start("intake", "recorder")
    scene.publish()
    wait_until(lambda: not scene.queues().get(topology.INTAKE.name), 120, "every call to be queued")
    scene.start("worker", env=ONE_REQUEST)
    scene.wait_revoked(0.2)
