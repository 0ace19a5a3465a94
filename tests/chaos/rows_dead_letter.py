"""D: what happens to dead letters, and to their replays."""

import json
from collections import Counter
from typing import Final

from servers import wait_until

from chaos.clock import Clock
from chaos.desk import REFUSED, doom, letters, replay, replaying
from chaos.rows import row
from chaos.rows_worker import DEAD_TOKEN, ON_RABBITMQ
from chaos.scene import Scene, wait_said
from worker import topology
from worker.broker import connect
from worker.cli.exits import Exit
from worker.ledger import DeadLetterState

SHARE: Final = 0.2  # of the load is refused for good
FEW: Final = 0.02  # likewise, where each keeps a place among the calls in flight
# While a dead letter finds no place its call is delivered again, and after 20 times the broker gives it up.
DEAD: Final = frozenset({REFUSED, "broker.delivery_limit"})
# RabbitMQ tries what found no place again after 180 s, `dead_letter_worker_publisher_confirm_timeout`.
SECOND_TRY: Final = 300.0  # seconds
LAPSED: Final = 16 * 60.0  # seconds: a claim is free again after 15 minutes
STEP: Final = 10  # dead letters that a replay of 50 a second claims together


@row("D1", brokers=ON_RABBITMQ, private=True, fast=(), reasons=DEAD, patience=SECOND_TRY)
def dead_letter_queue_full(scene: Scene) -> None:
    """The dead letters' queue is full, the recorder away: the worker says so, and the calls are kept."""
    doom(scene, FEW)
    scene.node.rabbitmqctl("set_policy", "full", f"^{topology.DEAD_QUEUE.name}$", json.dumps({"max-length": 1}))
    worker, _ = scene.start("worker", "intake")
    scene.publish()
    wait_said(worker, "task.not_settled")
    scene.wait_revoked(1 - FEW)
    # The limit stays: RabbitMQ before 3.13.8 tells nobody that it was lifted, its own dead-lettering neither (#12206).
    scene.start("recorder")
    scene.healed()


@row("D1 unbound", fast=(), reasons=DEAD, patience=SECOND_TRY)
def dead_letter_queue_unbound(scene: Scene) -> None:
    """No queue takes dead letters: the worker says so and keeps the calls until the binding is declared again."""
    doom(scene, FEW)
    worker, *others = scene.start("worker", "intake", "recorder")
    for process in (worker, *others):
        wait_said(process, "ready")
    with connect(scene.system.broker_url) as connection:
        topology.DEAD_QUEUE(connection.channel()).unbind_from(topology.DEAD, routing_key="#")
    scene.publish()
    wait_said(worker, "task.not_settled")
    scene.wait_revoked(1 - FEW)
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
    """A replay is killed half way: what it had claimed is free again after 15 minutes, and is replayed."""
    doomed = doom(scene, SHARE)
    scene.start()
    scene.publish()
    scene.drain()
    scene.system.heal()
    process = replaying(scene)
    wait_until(lambda: _replayed(scene) >= len(doomed) // 2, 60, "half of the replay")
    process.kill9()
    scene.healed()
    clock = Clock(scene.system.home)
    clock.jump(LAPSED)
    replay(scene, env=clock.env, codes=(0, Exit.PARTIAL))  # refused: what the first one published, and is settled
    scene.drain()
    assert Counter(scene.calls_of(doomed).values())[3] <= STEP


def _died_again(scene: Scene) -> int:
    return sum(letter.state is DeadLetterState.DEAD and letter.replays == 1 for letter in letters(scene))


def _replayed(scene: Scene) -> int:
    return sum(letter.state is DeadLetterState.REPLAYED for letter in letters(scene))
