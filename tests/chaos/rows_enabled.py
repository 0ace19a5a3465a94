"""W9: somebody is enabled again while the call of an older event waits for its retry, and the worker is killed."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from servers import wait_until
from system import SOURCE

from chaos.rows import EMBEDDED, RABBITMQ, row
from chaos.rows_worker import DEAD_TOKEN, IN_FLIGHT
from chaos.scene import Scene
from tasks.outcome import State
from worker.broker import messages

DIRECTORY: Final = "urn:test:directory"
DISABLED, ENABLED = "user.disabled", "user.enabled"
GUEST: Final = "guest"  # the broker user of who publishes
PEOPLE: Final = 5


def _settings(proof: Mapping[str, Any]) -> Mapping[str, Any]:
    """Retries are late enough for the record of an event to be there first."""
    directory = {"source": DIRECTORY, "types": [DISABLED, ENABLED], **proof}
    sources = {"tests": {"source": SOURCE, "trusted": True}, "directory": directory}
    return {"sources": sources, "retry": {"base": 8, "cap": 8, "max_attempts": 12}}


@row(
    "W9",
    brokers=(RABBITMQ,),
    settings=_settings({"users": [GUEST]}),
    duplicates=IN_FLIGHT,
    harmless=DEAD_TOKEN,
    fast=(),
)
@row(
    "W9", brokers=(EMBEDDED,), settings=_settings({"trusted": True}), duplicates=IN_FLIGHT, harmless=DEAD_TOKEN, fast=()
)
def kill9_between_an_enabled_and_the_retry(scene: Scene) -> None:
    """People are enabled again while their calls wait for a retry, and the worker is killed -9: none is logged out."""
    people = [str(uuid.UUID(int=scene.chance.getrandbits(128), version=4)) for _ in range(PEOPLE)]
    scene.system.script(*({"fault": "status", "status": 503, "match": each, "times": 1} for each in people))
    scene.start()
    disabled = _told(scene, DISABLED, people, timedelta(seconds=60))
    wait_until(lambda: _states(scene, disabled) == {State.RETRYING}, 30, "calls that wait for their retry")
    with scene.publishing():
        enabled = _told(scene, ENABLED, people, timedelta(seconds=30))
        wait_until(lambda: _states(scene, enabled) == {State.ENABLED}, 30, "the record of who is enabled")
        scene.kill9("worker")
        scene.start("worker")
    wait_until(
        lambda: _states(scene, disabled) == {State.SUPERSEDED}, scene.row.patience, "the retries to be superseded"
    )
    scene.drain()
    asked = [entry for entry in scene.journal() if entry["key"] in people]
    assert len(asked) == PEOPLE, f"{len(asked)} calls for {PEOPLE} people, the failed ones included"
    assert not [entry for entry in asked if entry["revoked"]]


def _told(scene: Scene, kind: str, people: list[str], ago: timedelta) -> list[str]:
    """Have the directory tell so of *people*, so long ago; returns the ids of its events."""
    when = (datetime.now(UTC) - ago).isoformat()
    told = [scene.system.disabled(accounts={"genesys": {"user_id": each}}) for each in people]
    told = [{**each, "type": kind, "source": DIRECTORY, "time": when} for each in told]
    user = None if scene.broker.node is None else GUEST
    scene.system.publish_all([replace(messages.event(json.dumps(each).encode(), kind), user_id=user) for each in told])
    ids = [each["id"] for each in told]
    scene.aside |= {*ids}
    return ids


def _states(scene: Scene, ids: list[str]) -> set[State]:
    """How the parts at Genesys stand."""
    rows = [row for each in ids for row in scene.system.ledger.calls_of_event(each, DIRECTORY)]
    found = {row.state for row in rows if row.provider == "genesys"}
    return found if len({row.event_id for row in rows}) == len(ids) else set()
