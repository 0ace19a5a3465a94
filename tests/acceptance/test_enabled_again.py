"""Users who are enabled again: whatever is still to be done of an older event is not done, on both brokers."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from portal import SIGNING_KEY, signing_source
from servers import Processes, wait_until
from system import SOURCE, System

from worker.broker import messages
from worker.operations.publishing import signer

MERE = "urn:test:mere"
DISABLED, ENABLED = "user.disabled", "user.enabled"
USERS = [str(uuid.UUID(int=n)) for n in range(1, 5)]
Sign = Callable[[bytes], dict[str, str]]


@pytest.fixture
def sign(tmp_path: Path) -> Sign:
    """The proof of the source that may enable users."""
    return signer(tmp_path / SIGNING_KEY)


@pytest.fixture(params=["embedded, sqlite", "rabbitmq, postgresql"])
def system(request: pytest.FixtureRequest, tmp_path: Path, processes: Processes) -> Iterator[System]:
    """One source signs and may enable users, another one is trusted; on each broker in turn, and on each database."""
    url, settings = f"embedded:///{tmp_path / 'broker.sqlite3'}", {}
    if request.param == "rabbitmq, postgresql":
        url, settings = request.getfixturevalue("rabbitmq_url"), {"ledger_url": request.getfixturevalue("postgres_url")}
    hr = signing_source(tmp_path) | {"source": SOURCE, "types": [DISABLED, ENABLED]}
    sources = {"hr": hr, "mere": {"source": MERE, "trusted": True}}
    made = System(tmp_path / "system", url, processes, sources=sources, **settings)
    yield made
    made.close()


def event(system: System, kind: str, user: str, ago: float, source: str = SOURCE) -> dict[str, Any]:
    """*user* of Genesys was disabled or enabled, so many seconds ago."""
    told = system.disabled(accounts={"genesys": {"user_id": user}})
    when = datetime.now(UTC) - timedelta(seconds=ago)
    return told | {"type": kind, "source": source, "time": when.isoformat()}


def publish(system: System, sign: Sign, *events: dict[str, Any]) -> list[str]:
    """Publish signed *events*; returns their ids."""
    bodies = [json.dumps(each).encode() for each in events]
    signed = zip(events, bodies, strict=True)
    system.publish_all([messages.event(body, each["type"], headers=sign(body)) for each, body in signed])
    return [each["id"] for each in events]


def at_genesys(system: System, *ids: str) -> list[str]:
    """The states of these events' calls."""
    return [system.states(each).get("genesys", "") for each in ids]


def test_what_an_older_event_still_asks_for_is_not_done(system: System, sign: Sign) -> None:
    """A call that is tried again, and those that wait for a worker, whatever came first; a later event wins again."""
    retried, waiting, again, _ = USERS
    _, worker, _ = system.start()
    system.script({"fault": "status", "status": 503, "match": retried})
    [first] = publish(system, sign, event(system, DISABLED, retried, 60))
    wait_until(lambda: at_genesys(system, first)[0] in {"retrying", "held"}, 20, "a failed attempt")
    publish(system, sign, event(system, ENABLED, retried, 30))
    wait_until(lambda: at_genesys(system, first) == ["superseded"], 20, "the retry to be superseded")
    worker.stop()
    system.heal()
    told = [(ENABLED, waiting, 30), (DISABLED, waiting, 60), (DISABLED, again, 60), (ENABLED, again, 30)]
    ids = publish(system, sign, *(event(system, *each) for each in (*told, (DISABLED, again, 10))))
    wait_until(lambda: at_genesys(system, ids[0], ids[3]) == ["enabled"] * 2, 20, "the record of who is enabled")
    system.start("worker")
    system.wait_closed(ids)
    assert at_genesys(system, *ids) == ["enabled", "superseded", "superseded", "enabled", "accepted"]
    assert system.revoked() == Counter({again: 1})
    assert "ENABLED AGAIN at genesys" in system.revoker("explain", waiting, code=1).stdout
    assert "OUT everywhere" in system.revoker("explain", again).stdout


def test_a_replay_is_superseded_unless_an_operator_forces_it(system: System, sign: Sign) -> None:
    """Then the call is made: what was known is overruled."""
    *_, user = USERS
    system.start()
    system.script({"fault": "status", "status": 400, "match": user})
    [dead] = publish(system, sign, event(system, DISABLED, user, 60))
    wait_until(lambda: at_genesys(system, dead) == ["dead"], 20, "the dead letter")
    system.wait_closed(publish(system, sign, event(system, ENABLED, user, 30)))
    system.heal()
    [letter] = system.ledger.dead_letters()
    replay = ("dlq", "replay", letter.dead_letter_id, "--reason", "dismissed after all", "--yes")
    assert "superseded" in system.revoker(*replay, code=2).stderr
    system.revoker(*replay, "--force")
    wait_until(lambda: at_genesys(system, dead) == ["accepted"], 20, "the forced call")
    assert system.revoked() == Counter({user: 1})


def test_who_may_not_say_it_spares_nobody(system: System, sign: Sign) -> None:
    """Another source, a source without its proof, and a time that has not come are dead letters."""
    user, *_ = USERS
    system.start("intake", "recorder")
    [disabled] = publish(system, sign, event(system, DISABLED, user, 60))
    publish(system, sign, event(system, ENABLED, user, 30, MERE), event(system, ENABLED, user, -900))
    publish(system, lambda _: {}, event(system, ENABLED, user, 30))
    wait_until(lambda: len(system.ledger.dead_letters()) == 3, 20, "the dead letters")
    refused = {"event.access_denied": 2, "event.invalid_time": 1}
    assert Counter(letter.reason for letter in system.ledger.dead_letters()) == refused
    system.start("worker")
    system.wait_closed([disabled])
    assert (at_genesys(system, disabled), system.revoked()) == (["accepted"], Counter({user: 1}))
