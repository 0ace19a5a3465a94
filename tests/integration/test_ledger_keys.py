"""Which sealing keys the ledger says are needed, on each database."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from ledger_records import START, after, dead, entry, outcome, planned, refused

from tasks.outcome import State
from tasks.records import DeadLetter
from tasks.sealing import generate_key, seal
from worker.calls.key_uses import note_uses
from worker.ledger import Ledger

pytest_plugins = ["ledger_fixtures"]

SEALED = seal("a-token", "genesys", generate_key("old"))
DAY = timedelta(days=1)


def plan(event_id: str, kid: str | None = "old") -> object:
    """An event whose one call needs the key *kid*."""
    told = planned(event_id)
    return told.model_copy(update={"units": tuple(each.model_copy(update={"kid": kid}) for each in told.units)})


def buried(event_id: str) -> DeadLetter:
    """A dead letter whose call is sealed for the key `old`."""
    letter = dead(event_id)
    assert letter.call
    return letter.model_copy(update={"call": letter.call.model_copy(update={"jwe": SEALED})})


def needs(ledger: Ledger) -> tuple[int, int]:
    """Dead letters and calls that need the key `old`."""
    found = ledger.key_needs(datetime.now(UTC) - DAY).get("old")
    return (found.dead_letters, found.calls) if found else (0, 0)


@pytest.mark.parametrize("plan_comes", ["first", "last"])
def test_a_call_needs_its_key_until_it_is_settled(ledger: Ledger, plan_comes: str) -> None:
    """In whatever order its records arrive: only its plan names the key."""
    told = [plan("e1"), outcome(State.RETRYING)]
    for each in told if plan_comes == "first" else reversed(told):
        ledger.record([each])  # type: ignore[list-item]
    assert needs(ledger) == (0, 1)
    ledger.record([outcome(State.ACCEPTED, attempt=2, at=3)])
    assert needs(ledger) == (0, 0)


def test_a_dead_letter_needs_its_key_until_it_is_discarded(ledger: Ledger) -> None:
    """A replay may come at any time."""
    ledger.record([buried("e1"), buried("e2")])
    assert needs(ledger) == (2, 0)
    ledger.discard([buried("e1").dead_letter_id], audit=entry("discard"))
    assert needs(ledger) == (1, 0)


def test_a_call_that_is_replayed_needs_its_key(ledger: Ledger) -> None:
    """It is under way again, and the claim says since when."""
    letter = buried("e1")
    ledger.record([letter])
    ledger.claim([letter.dead_letter_id], audit=entry())
    ledger.mark_replayed({letter.dead_letter_id: 1})
    assert needs(ledger) == (1, 1)
    assert ledger.key_needs(datetime.now(UTC) + DAY)["old"].dead_letters == 0


@pytest.mark.parametrize("kind", ["event", "unit", "message"])
def test_whatever_holds_a_sealed_credential_needs_its_key(ledger: Ledger, kind: str) -> None:
    """Also what never became a call: it is kept as it came."""
    body = base64.b64encode(json.dumps({"data": {"sessions": [{"credential": {"jwe": SEALED}}]}}).encode())
    ledger.record([refused("e1", kind, body=body.decode()), refused("e2", kind)])
    assert needs(ledger) == (1, 0)


def test_the_latest_use_of_a_key_stays(ledger: Ledger) -> None:
    """Workers tell of it in any order."""
    for seconds in (2, 5, 3):
        note_uses(ledger.database, {"old": after(seconds), "new": START})
    found = ledger.key_needs(START)
    assert (found["old"].last_used, found["new"].last_used) == (after(5), START)
