"""M: what is in the queues: malformed, huge, doubled, contradicted, and far too much of it."""

import json
import threading
import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from kombu import Exchange
from malformed import Envelope, Malformed, Unreadable, malformed, put, unreadable
from memory import peak_mb, resident_mb
from servers import wait_until
from system import PROCESSES, SOURCE

from chaos.load import make_backlog
from chaos.rows import row
from chaos.rows_worker import DEAD_TOKEN, ON_RABBITMQ
from chaos.scene import Scene, wait_said
from tasks.events import RejectionCode
from tasks.outcome import Reason, event_reason
from tasks.sealing import seal
from worker.broker import messages, topology
from worker.broker.publication import Message

STRANGE: Final = frozenset(
    {
        *(reason for reason in Reason if reason.startswith(("task.", "record."))),
        *map(event_reason, RejectionCode),
    }
)
CALM: Final = 200.0  # megabytes that no process exceeds, whatever lies in its queues
GROWTH: Final = 20.0  # megabytes
PERSON: Final = 0.0003  # megabytes: the intake's guard remembers whom it let through, up to 50 000 by its own limits
Strange = Sequence[Envelope | Unreadable]


@row("M1", fast=(), strange_reasons=STRANGE)
def malformed_between_good_ones(scene: Scene) -> None:
    """Malformed messages of every kind, into the event queue and straight into a task queue, between good events."""
    _between_good_ones(scene, _envelopes(scene, malformed(_canary(scene))))
    assert not _canary(scene).exists()


@row("M1 unreadable", fast=(), brokers=ON_RABBITMQ, strange_reasons=STRANGE)
def what_the_client_cannot_read(scene: Scene) -> None:
    """Messages that the client library cannot read: endless tables, text that is none, times out of range."""
    _between_good_ones(scene, unreadable())
    _put(scene, topology.EVENTS, b"\xff\xfe", [Envelope(b"a routing key that is no text", {})])


@row("M2", fast=(), strange_reasons=STRANGE)
def huge_or_in_another_coding(scene: Scene) -> None:
    """200 MB in messages of 10 MB in each queue; pickles, other content types, encodings, compression."""
    cases = [case for case in malformed(_canary(scene)) if case.reason == Reason.TASK_NOT_JSON]
    [good, *_] = _envelopes(scene, cases)
    large = [Envelope(b"%d" % number + b" " * 10_000_000, good.headers) for number in range(20)]
    _between_good_ones(scene, [*_envelopes(scene, cases), *large])
    scene.drain()
    assert not _canary(scene).exists()
    peaks = {process.name: peak_mb(process.pid) for process in scene.all_running()}
    assert max(peaks.values()) < CALM, f"memory: {peaks}"


@row(
    "M3",
    fast=(),
    duplicates=lambda events: 3 * events,
    harmless=DEAD_TOKEN,
    strange_reasons=frozenset({event_reason(RejectionCode.ID_CONFLICT)}),
)
def three_times_out_of_order_and_contradicted(scene: Scene) -> None:
    """Three producers publish every event at once, each in an order of its own; ten ids come with another body too.

    Each other body is an `id_conflict`: its token lives, as the oracle sees. A last copy of everything makes no call.
    """
    once_more = [scene.chance.sample(scene.load.events, len(scene.load.events)) for _ in range(2)]
    scene.start()
    producers = [threading.Thread(target=scene.system.publish, args=[events]) for events in once_more]
    with scene.publishing():
        for producer in producers:
            producer.start()
    for producer in producers:
        producer.join()
    scene.publish_strange(_other_bodies(scene, 10))
    scene.drain()
    calls = scene.calls_of(scene.load.units)
    scene.system.publish(scene.load.events)
    scene.drain()
    assert scene.calls_of(scene.load.units) == calls
    assert max(scene.calls_of(scene.load.units).values()) <= len(producers) + 1


@row("M4", fast=(), load=make_backlog, settings={"worker": {"in_flight_routine": 100}}, patience=1200.0)
def backlog(scene: Scene) -> None:
    """Fifty times the load waits, 100 000 events at full size; urgent ones published last overtake it, p99 < 2 s."""
    urgent = [event["id"] for event in scene.load.events if event["type"] in topology.URGENT_EVENTS]
    scene.declare()  # else the first batch finds no exchange, and goes to the end of the line, behind the urgent ones
    scene.publish(len(scene.load.events) - len(urgent))
    for process in scene.start("worker", "recorder"):
        wait_said(process, "ready")
    scene.start("intake")
    scene.wait_revoked(0.02)
    early = {process.pid: resident_mb(process.pid) for process in scene.all_running()}
    times = sorted(_seconds_to_settle(scene, event_id) for event_id in urgent)
    assert scene.queues().get(topology.INTAKE.name), "the backlog was gone before the urgent events came"
    assert times[-(len(times) // 100) - 1] < 2, f"seconds to settle: {times}"
    scene.healed()
    scene.drain()
    grown = {name: resident_mb(scene[name].pid) - early[scene[name].pid] for name in PROCESSES}
    grown["intake"] -= PERSON * len(scene.load.events)
    assert max(grown.values()) < GROWTH, f"grown by megabytes: {grown}"


def _between_good_ones(scene: Scene, strange: Strange) -> None:
    running = scene.start()
    count = len(scene.load.events) // 4
    scene.publish(count)
    _put(scene, topology.EVENTS, "session.ended", strange)
    scene.publish(count)
    _put(scene, topology.CALLS, "finbourne.routine", strange)
    scene.publish()
    scene.drain()
    for process in running:
        assert "Traceback" not in process.output, f"{process.name} fell over inside"


def _put(scene: Scene, exchange: Exchange, key: str | bytes, strange: Strange) -> None:
    """Put them there; the dead letter of an event is known by its body, and by what says how to read that."""
    put(scene.system.broker_url, exchange, key, strange)
    events = {(sha256(each.body).digest(), getattr(each, "content_type", None)) for each in strange}
    scene.strangers += len(events) if exchange is topology.EVENTS else len(strange)


def _envelopes(scene: Scene, cases: Iterable[Malformed]) -> list[Envelope]:
    """Each with a token of its own, that must stay alive."""
    token = f"sbx-{scene.load.marker}-strange"
    return [case.envelope(seal(f"{token}-{n}", "finbourne", scene.system.key)) for n, case in enumerate(cases)]


def _canary(scene: Scene) -> Path:
    return scene.system.home / "canary"


def _other_bodies(scene: Scene, count: int) -> list[Message]:
    """Ids of the load, each with a session at another provider, whose token nobody else would end."""
    taken = {unit.event_id for unit in scene.load.units if unit.provider == "genesys-eu"}
    alone = [unit for unit in scene.load.units if unit.provider == "finbourne" and unit.event_id not in taken][:count]
    sessions = (scene.system.session("genesys-eu", f"sbx-{scene.load.marker}-other-{n}") for n in range(count))
    events = [
        scene.system.ended(session, event_id=unit.event_id) for unit, session in zip(alone, sessions, strict=True)
    ]
    return [messages.event(json.dumps(event).encode(), event["type"]) for event in events]


def _seconds_to_settle(scene: Scene, event_id: str) -> float:
    assert event_id not in scene.confirmed, "an urgent event came before its turn"
    scene.publish(1)
    wait_until(lambda: scene.system.ledger.settled_or_dead(SOURCE, [event_id]), 60, "an urgent event to be settled")
    return time.time() - scene.confirmed[event_id]
