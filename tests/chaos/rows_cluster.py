"""B12: several of each process, on a RabbitMQ cluster of three nodes of which one is killed."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from servers import RabbitNode, wait_until

from chaos.brokers import OnRabbit
from chaos.rows import row
from chaos.rows_worker import BATCH, DEAD_TOKEN, IN_FLIGHT, ON_RABBITMQ
from chaos.scene import Scene, when

STARTED: Final = {"worker": 3, "intake": 2, "recorder": 2}
AGAIN: Final = STARTED["worker"] * IN_FLIGHT + STARTED["intake"] * BATCH
LEADS_ALL: Final = 'lists:all(fun(Q) -> element(2, amqqueue:get_pid(Q)) =:= node() end, rabbit_amqqueue:list(<<"/">>)).'
NEEDS: Final[dict[str, Any]] = {
    "brokers": ON_RABBITMQ,
    "private": True,
    "nodes": 3,
    "own_postgres": True,  # as on several machines
    "fast": (),
    "duplicates": AGAIN,
    "harmless": DEAD_TOKEN,
    "within": 30.0,
}


@row("B12", **NEEDS)
def node_of_a_cluster_killed(scene: Scene) -> None:
    """Kill -9 the node of three that leads every queue: 3 workers, 2 intakes and 2 recorders go on at the others."""
    _join(_nodes(scene))
    scene.declare()
    _kill_the_leader(scene)


@row("B12 grown", **NEEDS)
def node_of_a_grown_cluster_killed(scene: Scene) -> None:
    """Likewise, where the queues were declared before the other nodes came, and `rabbitmq-queues grow` spread them."""
    first, *others = _nodes(scene)
    scene.declare()
    _join([first, *others])
    assert set(first.members("/").values()) == {1}, "RabbitMQ spreads what was there by itself"
    for node in others:
        first.rabbitmqctl("grow", node.name, "all", tool="rabbitmq-queues")
    _kill_the_leader(scene)


def _nodes(scene: Scene) -> list[RabbitNode]:
    return [scene.node, *_cluster(scene).others]


def _cluster(scene: Scene) -> OnRabbit:
    assert isinstance(scene.broker, OnRabbit)
    return scene.broker


def _join(nodes: Sequence[RabbitNode]) -> None:
    for node in nodes[1:]:
        node.join(nodes[0])


def _kill_the_leader(scene: Scene) -> None:
    """Kill the first node, through which the queues were declared, and to which the publisher is connected."""
    assert set(scene.node.members("/").values()) == {3}, "a queue is not on every node"
    assert scene.node.control(LEADS_ALL) == "true", "another node leads a queue"
    for name, count in STARTED.items():
        for number in range(count):
            scene.start(name, env={"REVOKER_BROKER_URL": _cluster(scene).url_from(number)})
    with scene.publishing(over=15):
        scene.wait_revoked(0.2)
        scene.node.kill9()
        scene.healed()  # nobody has to come back: the others are enough
    scene.drain()
    scene.remark = f"providers heard nothing for {_silence(scene):.1f} s at most"
    scene.node.start()
    wait_until(lambda: scene.node.members("/") != {}, 30, "the killed node to know the queues again")


def _silence(scene: Scene) -> float:
    """The longest pause between two requests from the kill on, in seconds, while there was something to be revoked."""
    since = scene.healed_at or 0.0
    times = sorted(when(entry) for entry in scene.journal() if entry["revoked"])
    return max(later - earlier for earlier, later in pairwise([since, *(at for at in times if at > since)]))
