"""D: what happens to dead letters, and to their replays."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Final

from servers import Daemon, wait_until

from chaos.desk import REFUSED, doom, letters, replay, replaying, resume
from chaos.load import Unit
from chaos.rows import row
from chaos.rows_worker import DEAD_TOKEN, ON_RABBITMQ
from chaos.scene import Scene, wait_said
from worker.broker import connect, topology
from worker.ledger import DeadLetterState

SHARE: Final = 0.2  # of the load is refused for good
FEW: Final = 0.02  # likewise, where each keeps one of the places that calls in flight have, half of them at most
ROOM: Final = {"worker": {"in_flight_routine": 100}}
STEP: Final = 10  # dead letters that a replay of 50 a second claims together


@row("D1", brokers=ON_RABBITMQ, private=True, fast=(), reasons=frozenset({REFUSED}), settings=ROOM)
def dead_letter_queue_full(scene: Scene) -> None:
    """The dead letters' queue is full, the recorder away: the worker says so once, and keeps the calls meanwhile."""
    doomed = doom(scene, FEW)
    scene.node.rabbitmqctl("set_policy", "full", f"^{topology.DEAD_QUEUE.name}$", json.dumps({"max-length": 1}))
    worker, _ = scene.start("worker", "intake")
    scene.publish()
    _waits(scene, worker, doomed)
    scene.node.rabbitmqctl("clear_policy", "full")
    scene.start("recorder")
    scene.healed()


@row("D1 unbound", fast=(), reasons=frozenset({REFUSED}), settings=ROOM)
def dead_letter_queue_unbound(scene: Scene) -> None:
    """No queue takes dead letters: the worker says so once, and keeps the calls until the binding is there again."""
    doomed = doom(scene, FEW)
    worker, *others = scene.start("worker", "intake", "recorder")
    for process in (worker, *others):
        wait_said(process, "ready")
    with connect(scene.system.broker_url) as connection:
        topology.DEAD_QUEUE(connection.channel()).unbind_from(topology.DEAD, routing_key="#")
    scene.publish()
    _waits(scene, worker, doomed)
    with connect(scene.system.broker_url) as connection:
        topology.declare(connection, scene.system.providers)
    scene.healed()


@row("D2", fast=())
def replay_while_the_provider_is_down(scene: Scene) -> None:
    """Dead letters are replayed while the provider still refuses: each dies once more, and knows why it first did."""
    doomed = doom(scene, SHARE)
    scene.start()
    scene.publish()
    scene.drain()
    before = {letter.dead_letter_id: (letter.first_reason, letter.first_at) for letter in letters(scene)}
    replay(scene)
    wait_until(lambda: _died_again(scene) == len(doomed), 60, "every dead letter to die again")
    assert {letter.dead_letter_id: (letter.first_reason, letter.first_at) for letter in letters(scene)} == before
    calls = Counter(scene.calls_of(doomed).values())
    assert set(calls) == {2}, f"one call and one replay each: {calls}"
    scene.system.heal()
    scene.healed()
    replay(scene)


@row("D3", fast=())
def two_replays_at_once(scene: Scene) -> None:
    """Two operators replay the same dead letters at once: each goes out once."""
    doomed = doom(scene, SHARE)
    scene.start()
    scene.publish()
    scene.drain()
    scene.system.heal()
    scene.healed()
    for process in (replaying(scene), replaying(scene)):
        process.wait(120)
    scene.drain()
    calls = Counter(scene.calls_of(doomed).values())
    assert set(calls) == {2}, f"one call and one replay each: {calls}"


@row("D4", fast=(), duplicates=STEP, harmless=DEAD_TOKEN)
def replay_killed_half_way(scene: Scene) -> None:
    """A replay is killed half way: the job is resumed, and sends no dead letter twice but those of its last step."""
    doomed = doom(scene, SHARE)
    scene.start()
    scene.publish()
    scene.drain()
    scene.system.heal()
    process = replaying(scene)
    wait_until(lambda: _replayed(scene) >= len(doomed) // 2, 60, "half of the replay")
    process.kill9()
    scene.healed()
    resume(scene)
    scene.drain()
    assert Counter(scene.calls_of(doomed).values())[3] <= STEP


def _died_again(scene: Scene) -> int:
    return sum(letter.state is DeadLetterState.DEAD and letter.replays == 1 for letter in letters(scene))


def _replayed(scene: Scene) -> int:
    return sum(letter.state is DeadLetterState.REPLAYED for letter in letters(scene))


def _waits(scene: Scene, worker: Daemon, doomed: Sequence[Unit]) -> None:
    """The rest is revoked, and no doomed call is made again only because its dead letter finds no place."""
    wait_said(worker, "publish.refused")
    scene.wait_revoked(1 - FEW)
    scene.stand_still(10)
    assert worker.output.count("publish.refused") == 1
    assert set(scene.calls_of(doomed).values()) == {1}
