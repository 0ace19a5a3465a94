"""Nobody in: what is not proved or not allowed reaches no provider, whoever replays it; what is, goes through."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers import Processes, wait_until
from system import SOURCE, System

from worker import broker
from worker.broker import messages
from worker.broker.publication import Message
from worker.intake.signing import SigningKey, generate_signing_key, save_signing_key, sign
from worker.ledger import DeadLetterFilter, DeadLetterRow, DeadLetterState

pytestmark = pytest.mark.executed

KEY = generate_signing_key("k1")
FORGED = 20
CLI = "urn:revoker:cli"


@pytest.fixture
def system(tmp_path: Path, broker_url: str, processes: Processes) -> Iterator[System]:
    """An installation that believes one key, for sessions at one provider, and its own operators at nothing."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    rules = {"keys": str(jwks), "types": ["session.ended"], "providers": ["finbourne"]}
    sources = {"tests": {"source": SOURCE, **rules}, "cli": {"source": CLI, **rules}}
    made = System(tmp_path / "system", broker_url, processes, sources=sources)
    yield made
    made.close()


def message(event: dict[str, Any], key: SigningKey | None = None) -> Message:
    """*event* as a producer publishes it, signed with *key*."""
    body = json.dumps(event).encode()
    return messages.event(body, event["type"], headers={messages.SIGNATURE: sign(body, key)} if key else {})


def refused(system: System, count: int) -> list[DeadLetterRow]:
    """The dead letters, once there are as many."""
    every = DeadLetterFilter(states=(DeadLetterState.DEAD,))
    wait_until(lambda: len(system.ledger.dead_letters(every)) >= count, 30, "the refused events on the desk")
    return system.ledger.dead_letters(every)


def run(system: System, *arguments: str) -> None:
    """`revoker` to its end, however it ends."""
    command = system.processes.start("revoker", *arguments, env=system.env)
    wait_until(lambda: not command.running, 60, f"revoker {arguments[0]}")


def ended(system: System, provider: str = "finbourne") -> dict[str, Any]:
    """An event that ends a session."""
    return system.ended(system.session(provider, f"sbx-{uuid.uuid4()}"))


def test_forged_events_reach_no_provider_and_raise_an_alert_of_each_kind(system: System) -> None:
    """Unsigned, of another key, changed, beyond the source's limits; replayed, they are refused again."""
    intake, *_ = system.start()
    other, signed = generate_signing_key("k1"), message(ended(system), KEY)
    bad = [message(ended(system), key) for key in (None, other) for _ in range(FORGED // 2)]
    bad.append(replace(signed, body=signed.body.replace(b"}", b" }", 1)))
    bad += [message(ended(system, "genesys"), KEY), message(system.disabled(), KEY)]
    system.publish_all(bad)
    letters = refused(system, len(bad))
    assert {letter.reason for letter in letters} == {"event.access_denied"}
    run(system, "dlq", "replay", "--all", "--yes")
    wait_until(lambda: all(letter.replays == 1 for letter in refused(system, len(bad))), 30, "the same refusals again")
    assert system.journal() == []
    alerts = [json.loads(line) for line in intake.output.splitlines() if '"event.access_denied"' in line]
    rules = {(each["level"], each["reason"]) for each in alerts}
    assert rules == {("error", "provider"), ("error", "signature"), ("error", "type")}
    assert len(alerts) < FORGED


def test_a_signed_event_kills_a_token_and_so_does_revoker_publish(system: System, tmp_path: Path) -> None:
    """The private key comes from a file; what is not signed beside it does nothing."""
    intake, *_ = system.start()
    save_signing_key(tmp_path / "signing.jwk", KEY)
    (tmp_path / "token").write_text(f"sbx-{uuid.uuid4()}")
    given = ("session.ended", "--provider", "finbourne", "--token-file", str(tmp_path / "token"))
    for options in ((), ("--sign", str(tmp_path / "signing.jwk"))):
        run(system, "publish", *given, *options, "--id", f"e{len(options)}")
    event = ended(system)
    system.publish_all([message(event, KEY)])
    system.wait_closed([event["id"]])
    system.wait_closed(["e2"], source=CLI)
    assert [letter.event_id for letter in refused(system, 1)] == ["e0"]
    assert sum(system.revoked().values()) == 2
    assert ("producers.unproved" in intake.output) is broker.is_embedded(system.broker_url)
