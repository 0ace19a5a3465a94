"""H: what one party's data does to the others, words that are not to be believed, and ground that is pulled away."""

import itertools
import json
import sqlite3
import time
import uuid
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from servers import free_port, wait_until
from sqlalchemy import make_url
from system import SOURCE

from chaos.doors import Impostor, answer
from chaos.rows import EMBEDDED, RABBITMQ, row
from chaos.rows_provider import UNLIMITED
from chaos.said import holds
from chaos.scene import Scene, wait_said
from worker import broker
from worker.broker import messages, topology
from worker.broker.publication import Message
from worker.ledger import Ledger

DEFAULT_HOLDS: Final = {"hold": {"first": 15, "cap": 300}}  # as installed
FEED: Final = "urn:test:feed"
SOURCES: Final = {
    "tests": {"source": SOURCE, "trusted": True},
    "feed": {"source": FEED, "trusted": True},
}
SOON: Final = 20.0  # seconds; as installed a hold alone lasts 15, and then 30, 60 …
EACH: Final = 0.03  # seconds more for each unit: ten are in flight, and an answer takes a tenth
UNKNOWN_USERS: Final = 20
ALL_WIBMO: Final = {**UNLIMITED, "REVOKER_PROVIDERS__WIBMO__RATE_LIMIT": "0"}
LINES: Final = ("intake-ledger", "worker-ledger", "recorder-ledger")


UNTOLD: Final = frozenset({"auth.unauthorized"})  # of references refused after the key's last success: it may be bad


@row("H1", fast=(RABBITMQ,), providers=("wibmo",), settings=DEFAULT_HOLDS, reasons=UNTOLD)
def references_died_by_themselves(scene: Scene) -> None:
    """A quarter of the references at Wibmo died by themselves, in the middle of the living: nothing is held for it."""
    gone = set(scene.chance.sample(scene.load.sessions, len(scene.load.sessions) // 4))
    scene.system.expire_references(map(scene.load.token, gone))
    _, worker, _ = scene.start(env=ALL_WIBMO)
    scene.publish()
    _soon(scene, {unit.key for unit in scene.load.units if unit not in gone})
    assert not holds(worker.output)


@row("H2", fast=(EMBEDDED,), providers=("genesys-eu",), doubted=frozenset({"genesys-eu"}))
def an_instance_that_calls_everybody_dead(scene: Scene) -> None:
    """An instance of another organization calls every living token dead already: an alert, and nobody is told out."""
    port = free_port()
    document = {"message": "Invalid login credentials.", "code": "bad.credentials", "status": 401, "messageParams": {}}
    refused = answer("401 Unauthorized", json.dumps(document).encode(), "Content-Type: application/json")
    with Impostor(itertools.repeat(refused), port):
        place = f"http://127.0.0.1:{port}/genesys-eu"
        scene.start("intake", "recorder")
        worker = scene.start(
            "worker",
            env={
                **UNLIMITED,
                "REVOKER_PROVIDERS__GENESYS-EU__API_BASE_URL": place,
                "REVOKER_PROVIDERS__GENESYS-EU__LOGIN_BASE_URL": place,
            },
        )[0]
        scene.publish()
        scene.drain()
    wait_said(worker, "provider.doubted")
    told = scene.evidence().told_out
    sessions = {unit.event_id for unit in scene.load.units if unit.provider == "genesys-eu"}
    assert not told & sessions, f"{len(told & sessions)} of {len(sessions)} are told out"


@row(
    "H3",
    fast=(RABBITMQ,),
    settings={**DEFAULT_HOLDS, "sources": SOURCES},
    strange_reasons=frozenset({"provider.not_found"}),
)
def ids_that_nobody_knows(scene: Scene) -> None:
    """One source disables twenty users nobody knows, first of all: nobody else's revocation waits for that."""
    users = [str(uuid.uuid4()) for _ in range(UNKNOWN_USERS)]
    strange = [{**_disabled(scene, user), "source": FEED} for user in users]
    scene.system.script(*({"fault": "status", "status": 404, "match": user} for user in users))
    scene.start(env=UNLIMITED)
    scene.publish_strange([_published(each) for each in strange])
    scene.publish()
    _soon(scene, {unit.key for unit in scene.load.units})


@row("H4", fast=(EMBEDDED,), strange_reasons=frozenset({"event.stale"}))
def old_events_delivered_twice(scene: Scene) -> None:
    """Events of a year ago lie with a consumer whose connection breaks: delivered again, each is judged as before."""
    users = [str(uuid.uuid4()) for _ in range(20)]
    a_year_ago = (datetime.now(UTC) - timedelta(days=365)).isoformat()
    old = [{**_disabled(scene, user), "time": a_year_ago} for user in users]
    scene.publish_strange([_published(each) for each in old])
    with broker.connect(scene.system.broker_url) as connection:
        held: list[object] = []
        with connection.Consumer([topology.INTAKE_URGENT], on_message=held.append):
            wait_until(lambda: _drained(connection, held, len(old)), 20, "every old event to be held")
        connection.collect()
    scene.start(env=UNLIMITED)
    scene.publish()
    scene.drain()
    assert not set(users) & {entry["key"] for entry in scene.journal()}


@row("H5", fast=())
def ledger_file_replaced(scene: Scene) -> None:
    """The ledger's file is replaced by its backup while everything runs: nothing is acknowledged into the old one."""
    _replaced_in_the_middle(scene, scene.system.home / "ledger.sqlite3")
    wait_said(scene["recorder"], "ledger.unavailable")
    wait_said(scene["recorder"], "ledger.back")


@row("H5 broker", fast=(), brokers=(EMBEDDED,))
def broker_file_replaced(scene: Scene) -> None:
    """The embedded broker's file is replaced by its backup while everything runs: every process goes over to it."""
    _replaced_in_the_middle(scene, scene.broker.files)


@row("H6", fast=(), brokers=(RABBITMQ,), private=True)
def outcomes_refused(scene: Scene) -> None:
    """The outcomes' queues are full for a while: what was confirmed beside them is not published, nor made, again."""
    full = json.dumps({"max-length": 1, "overflow": "reject-publish"})
    scene.declare()
    scene.start("intake", "worker")
    for name in (topology.OUTCOMES_QUEUE.name, topology.OUTCOMES_URGENT_QUEUE.name):
        scene.node.rabbitmqctl("set_policy", name, f"^{name}$", full, "--priority", "9")
    scene.publish()
    scene.wait_revoked(0.2)
    scene.stand_still(10)
    for name in (topology.OUTCOMES_QUEUE.name, topology.OUTCOMES_URGENT_QUEUE.name):
        scene.node.rabbitmqctl("clear_policy", name)
    scene.start("recorder")
    scene.healed()


@row("H7", fast=(), own_postgres=True, links=LINES)
def ledger_fails_over(scene: Scene) -> None:
    """PostgreSQL fails over: the old server stays up and takes no write, the address leads to the one promoted."""
    standby = scene.postgres.standby()
    scene.start()
    scene.publish(len(scene.load.events) // 2)
    scene.wait_revoked(0.1)
    scene.postgres.make_read_only()
    standby.promote()
    for line in LINES:
        scene.lines[line].target = standby.port
    scene.healed()
    _read_from(scene, standby.port)
    scene.publish()


def _soon(scene: Scene, living: AbstractSet[str]) -> None:
    """All the *living* are dead as soon after the last publish as calls without a hold take."""
    began, longest = time.monotonic(), SOON + EACH * len(scene.load.units)
    wait_until(lambda: living <= {entry["key"] for entry in scene.journal() if entry["revoked"]}, longest, "the living")
    scene.remark = f"(the last of the living {time.monotonic() - began:.1f} s after the last publish)"


def _replaced_in_the_middle(scene: Scene, path: Path) -> None:
    """Half the load, then, with nothing under way, a backup in the place of the file; then the rest."""
    scene.start()
    scene.publish(len(scene.load.events) // 2)
    wait_until(lambda: not any(scene.queues().values()), 60, "the queues to be empty")
    scene.system.ledger.close()
    copy = path.with_name("copy-of-it")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    copy.chmod(0o600)
    for beside in ("-wal", "-shm"):
        path.with_name(path.name + beside).unlink(missing_ok=True)
    copy.replace(path)
    scene.system.ledger = Ledger.open(scene.system.document["ledger_url"])
    scene.healed()
    scene.publish()


def _read_from(scene: Scene, port: int) -> None:
    """Have the oracle read the ledger of the server at *port*."""
    scene.system.ledger.close()
    url = make_url(scene.system.document["ledger_url"]).set(port=port)
    scene.system.ledger = Ledger.open(url.render_as_string(hide_password=False))


def _disabled(scene: Scene, user_id: str) -> dict[str, Any]:
    return scene.system.disabled(accounts={"genesys": {"user_id": user_id}})


def _published(event: dict[str, Any]) -> Message:
    return messages.event(json.dumps(event).encode(), event["type"])


def _drained(connection: Any, held: Sequence[object], wanted: int) -> bool:
    with suppress(TimeoutError):
        connection.drain_events(timeout=0.5)
    return len(held) >= wanted
