"""B: what happens to the broker, and to the lines that lead there."""

import json
import time
from typing import Final

from servers import wait_until
from system import PROCESSES

from chaos.proxy import Fault, Way
from chaos.rows import row
from chaos.rows_worker import BATCH, DEAD_TOKEN, IN_FLIGHT, ON_RABBITMQ
from chaos.scene import AFTER_THAW, Scene, wait_said
from tasks.call import Lane
from worker.broker import connect, topology

AGAIN: Final = IN_FLIGHT + BATCH  # what worker and intake may do again when their connections break


@row("B1", brokers=ON_RABBITMQ, private=True, fast=(), duplicates=AGAIN, harmless=DEAD_TOKEN, within=30.0)
def broker_restarted(scene: Scene) -> None:
    """The broker is stopped in order under load, and started again."""
    scene.start()
    with scene.publishing(over=3):
        scene.wait_revoked(0.2)
        scene.node.stop()
        scene.node.start()
        scene.healed()


@row("B2", brokers=ON_RABBITMQ, private=True, duplicates=AGAIN, harmless=DEAD_TOKEN, within=30.0)
def broker_killed(scene: Scene) -> None:
    """Kill -9 the broker under load, and start it again."""
    scene.start()
    with scene.publishing(over=3):
        scene.wait_revoked(0.2)
        scene.node.kill9()
        scene.node.start()
        scene.healed()


@row("B3", brokers=ON_RABBITMQ, private=True, fast=(), duplicates=AGAIN, harmless=DEAD_TOKEN, within=30.0)
def broker_frozen(scene: Scene) -> None:
    """The broker is frozen for 60 s under load: connections stay open and nothing answers."""
    scene.start()
    with scene.publishing(over=3):
        scene.wait_revoked(0.2)
        scene.node.freeze()
        scene.stand_still(60)
        scene.node.thaw()
        scene.healed()


@row("B4", brokers=ON_RABBITMQ, links=("publisher-broker",), duplicates=lambda events: events, harmless=DEAD_TOKEN)
def cut_in_the_middle_of_a_publish(scene: Scene) -> None:
    """The producer's connection is cut at each of its bytes in turn: handshake, frames, and after the last one."""
    scene.start()
    scene.publish(1)
    whole = scene.lines["publisher-broker"].carried[Way.UP]
    for number in range(1, len(scene.load.events)):
        scene.lines["publisher-broker"].cut_after(1 + number * whole // len(scene.load.events))
        scene.publish(1)


@row("B5", brokers=ON_RABBITMQ, links=("publisher-broker",))
def confirms_cut_off(scene: Scene) -> None:
    """Confirms do not come back: the publisher gives the batch up, and says it again over a new connection."""
    scene.start()
    line = scene.lines["publisher-broker"]
    with scene.publishing(over=1):
        wait_until(lambda: scene.confirmed, 30, "the first confirms")
        line.break_with(Fault(stuck=frozenset({Way.DOWN})))
        wait_until(lambda: scene.unknown, 30, "the publisher to give up")
        line.heal()
        scene.healed()
    assert scene.longest_try <= 15


@row("B6", brokers=ON_RABBITMQ, private=True, fast=(), within=30.0)
def broker_down_at_the_start(scene: Scene) -> None:
    """The broker is away when the processes start: they wait, say so, and begin when it comes."""
    scene.node.stop()
    for process in scene.start():
        wait_said(process, "broker.unreachable")
    scene.node.start()
    scene.healed()
    scene.publish()


@row("B7", brokers=ON_RABBITMQ, private=True, fast=(), duplicates=AGAIN, harmless=DEAD_TOKEN)
def memory_alarm(scene: Scene) -> None:
    """A memory alarm under load: publishers fail clearly within 15 s, and all goes on when it clears."""
    scene.start()
    scene.publish(len(scene.load.events) // 2)
    scene.wait_revoked(0.1)
    scene.node.raise_memory_alarm()
    with scene.publishing():
        wait_until(lambda: scene.unknown, 20, "the publisher to give up")
        scene.node.clear_memory_alarm()
        scene.healed()
    assert scene.longest_try <= 15


@row("B8", private=True, fast=())
def exchange_and_queues_deleted(scene: Scene) -> None:
    """The intake's exchange and empty queues are deleted: publishing fails until they are declared again."""
    scene.start()
    scene.publish(len(scene.load.events) // 2)
    scene.wait_revoked(0.4)
    wait_until(lambda: not any(scene.queues().values()), 30, "the queues to be empty")
    with connect(scene.system.broker_url) as connection:
        for queue in (topology.INTAKE, topology.calls_queue("finbourne", Lane.ROUTINE)):
            queue(connection.channel()).delete()
        topology.EVENTS(connection.channel()).delete()
    scene.publish()
    assert scene.refused


@row("B9", brokers=ON_RABBITMQ, private=True)
def queue_full(scene: Scene) -> None:
    """The intake's queue is full: what does not fit is refused, and nothing refused is called confirmed."""
    scene.start("worker", "recorder")
    scene.node.rabbitmqctl("set_policy", "full", f"^{topology.INTAKE.name}$", json.dumps({"max-length": 10}))
    with scene.publishing():
        wait_until(lambda: scene.refused, 30, "a refusal")
        assert len(scene.confirmed) < len(scene.load.events)
        scene.start("intake")
        scene.node.rabbitmqctl("clear_policy", "full")
        scene.healed()


@row("B10", brokers=ON_RABBITMQ, private=True, duplicates=AGAIN, harmless=DEAD_TOKEN)
def consumer_timeout(scene: Scene) -> None:
    """Calls take longer than the broker's consumer timeout, which closes the channel: the worker lives."""
    _set_limits(scene, consumer_timeout=2000, channel_tick_interval=500)
    slow = scene.chance.sample(scene.load.units, 10)
    scene.system.script(*({"fault": "slow", "seconds": 6, "match": unit.key, "times": 1} for unit in slow))
    scene.start()
    scene.publish()
    wait_until(lambda: "has timed out waiting for" in scene.node.log, 30, "the broker's patience")  # 3.10 to 4.x
    _set_limits(scene, consumer_timeout=1_800_000, channel_tick_interval=60_000)  # as installed


@row("B10 frozen", brokers=ON_RABBITMQ, fast=(), duplicates=2 * IN_FLIGHT, harmless=DEAD_TOKEN, patience=240.0)
def worker_frozen(scene: Scene) -> None:
    """A worker stands still: the broker hears no heartbeat and gives its calls to another one, long before it thaws."""
    scene.start()
    scene.publish()
    scene.wait_revoked(0.2)
    frozen = scene["worker"]
    frozen.freeze()
    scene.start("worker")
    began = time.monotonic()
    wait_until(lambda: not _calls(scene), 150, "every call of the frozen one to be settled by the other")
    scene.remark = f"its calls had moved on after {time.monotonic() - began:.0f} s"
    frozen.thaw()
    wait_said(frozen, "broker.unreachable")
    scene.stand_still(AFTER_THAW)


def _calls(scene: Scene) -> int:
    return sum(count for name, count in scene.queues().items() if name.startswith("revocation.calls."))


def _set_limits(scene: Scene, **milliseconds: int) -> None:
    for name, value in milliseconds.items():
        scene.node.control(f"application:set_env(rabbit, {name}, {value}).")


@row("B11", brokers=ON_RABBITMQ)
def wrong_password_vhost_or_certificate(scene: Scene) -> None:
    """Wrong password, host gone, certificate of nobody trusted: each process says so, without password, and waits."""
    wrong = f"amqp://guest:{scene.load.marker}@127.0.0.1:{scene.node.port}/"
    strange = scene.node.tls_url().replace("guest:guest", f"guest:{scene.load.marker}")
    told = {
        wrong: "ACCESS_REFUSED",
        scene.node.url("gone"): "vhost gone",
        strange: "CERTIFICATE_VERIFY_FAILED",
    }
    doomed = [(each, words) for url, words in told.items() for each in scene.start(env={"REVOKER_BROKER_URL": url})]
    for process, words in doomed:
        wait_said(process, "broker.unreachable")
        assert words in process.output, f"{process.name} does not say what is wrong"
    scene.stand_still(3)
    for process in scene.all_running():
        assert process.output.count("broker.unreachable") == 1, f"{process.name} does not say it once"
        assert "Traceback" not in process.output, f"{process.name} shows a stack trace"
    for name in PROCESSES * len(told):
        scene.stop(name)
    scene.start()
    scene.publish()
