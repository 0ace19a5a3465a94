"""W10: sessions are told to begin while their people are disabled, and the intake is killed again and again."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from servers import wait_until
from system import SOURCE, digest

from chaos.rows import EMBEDDED, RABBITMQ, row
from chaos.rows_enabled import GUEST
from chaos.rows_worker import BATCH, DEAD_TOKEN
from chaos.scene import Scene
from worker.broker import messages
from worker.intake.registry import store

LOGIN: Final = "urn:test:login"
STARTED, ENDED, DISABLED = "session.started", "session.ended", "user.disabled"
KILLS: Final = 6
ONE_BY_ID: Final = 4  # of so many people one is ended by the id of the session
ONE_STAYS: Final = 5  # and of so many one logs in after it


def _settings(**proof: Any) -> dict[str, Any]:
    login = {"source": LOGIN, "types": [STARTED, ENDED, DISABLED], **proof}
    return {"registry": {"enabled": True}, "sources": {"tests": {"source": SOURCE, "trusted": True}, "login": login}}


@row(
    "W10",
    brokers=(RABBITMQ,),
    settings=_settings(users=[GUEST]),
    duplicates=KILLS * BATCH,
    harmless=DEAD_TOKEN,
    fast=(),
)
@row(
    "W10",
    brokers=(EMBEDDED,),
    settings=_settings(trusted=True),
    duplicates=KILLS * BATCH,
    harmless=DEAD_TOKEN,
    fast=(),
)
def kill9_while_sessions_begin_and_end(scene: Scene) -> None:
    """Starts and ends of the same people's sessions come in any order, to two intakes killed -9: no ended one lives."""
    people = len(scene.load.events) // 2
    told = [each for number in range(people) for each in _person(scene, number)]
    scene.chance.shuffle(told)
    scene.aside |= {each["id"] for each in told}
    ended = {digest(_token(scene, number, "old")) for number in range(people)}
    scene.aside_keys |= ended
    scene.start("worker", "recorder", "intake", "intake")
    with scene.publishing():
        part = len(told) // KILLS + 1
        for begin in range(0, len(told), part):
            _publish(scene, told[begin : begin + part])
            time.sleep(0.2)
            scene.kill9("intake")
            scene.start("intake")
    scene.drain()
    wait_until(lambda: ended <= _revoked(scene), 90, "every session that was ended to be dead")
    young = {digest(_token(scene, number, "young")) for number in range(0, people, ONE_STAYS)}
    assert not young & _revoked(scene), "somebody who logged in afterwards is logged out"
    wait_until(lambda: _kept(scene) == len(young), 60, "only those who logged in afterwards to be kept")
    asked = [entry["key"] for entry in scene.journal() if entry["key"] in ended]
    scene.remark = f"({people} people: living 0, {len(asked) - people} calls for what was dead already)"


def _person(scene: Scene, number: int) -> list[dict[str, Any]]:
    """What is told of one: a session that began, its end, and for some a session that began after that."""
    now = datetime.now(UTC)
    is_by_id = number % ONE_BY_ID == 0
    who = {"sub_id": {"format": "email", "email": f"person-{number}@example.com"}}
    session = scene.system.session("finbourne", _token(scene, number, "old")) | {"session_id": f"session-{number}"}
    end = {"session_ids": [f"session-{number}"]} if is_by_id else who
    told = [
        _event(STARTED, now - timedelta(seconds=90), {**who, "sessions": [session]}),
        _event(ENDED if is_by_id else DISABLED, now - timedelta(seconds=60), end),
    ]
    if number % ONE_STAYS == 0:
        young = scene.system.session("finbourne", _token(scene, number, "young"))
        told.append(_event(STARTED, now - timedelta(seconds=30), {**who, "sessions": [young]}))
    return [{**each, "id": f"registry-{number}-{place}"} for place, each in enumerate(told)]


def _event(kind: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    return {"specversion": "1.0", "source": LOGIN, "type": kind, "time": at.isoformat(), "data": data}


def _token(scene: Scene, number: int, which: str) -> str:
    return f"sbx-{scene.load.marker}-registry-{which}-{number}"


def _publish(scene: Scene, told: list[dict[str, Any]]) -> None:
    user = None if scene.broker.node is None else GUEST
    outgoing = [messages.event(json.dumps(each).encode(), each["type"]) for each in told]
    scene.system.publish_all([replace(each, user_id=user) for each in outgoing])


def _revoked(scene: Scene) -> set[str]:
    return {entry["key"] for entry in scene.journal() if entry["revoked"]}


def _kept(scene: Scene) -> int:
    return sum(store.count(scene.system.ledger.database).values())
