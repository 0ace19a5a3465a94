"""What vouches for dead letters and for messages: a MAC of ours, over all of it, for some hours."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, cast

import pytest
from in_one_test import in_one_test
from letter_examples import (
    DATA,
    MAC,
    MAKERS,
    NOW,
    REFUSAL,
    TIMED,
    again,
    arrived,
    event,
    headers,
    replayed,
)

from tasks.call import Attempt, Lane, ProviderCall
from tasks.providers import genesys, wibmo
from tasks.records import DeadLetter, dead_letter_of_call
from worker.broker import messages
from worker.broker.provenance import VOUCHER_LIFE, LetterMac, ProvenanceMac
from worker.intake import dead_letters
from worker.intake.authorization import Authorizer, Denied, Granted, Rule
from worker.intake.dedup import IncomingEvent
from worker.intake.intake import Controls, Intake
from worker.settings.sections import SourceSettings

TOKEN: Final = "eyJhbGciOiJub25lIn0.c2VjcmV0.c2ln"
CALL: Final = ProviderCall(
    call_id="c-1",
    source="urn:hr",
    event_id="e1",
    event_type="user.disabled",
    occurred_at=NOW,
    deadline=NOW + timedelta(hours=1),
    provider="genesys",
    operation=genesys.DELETE_TOKEN,
    lane=Lane.URGENT,
    subject="ad…",
    user_id="4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77",
    attempts=(Attempt(at=NOW, reason="http.5xx", detail={"code": "1"}, delay=3),),
)
LETTERS: Final[Mapping[str, DeadLetter]] = {
    "call": dead_letter_of_call(CALL, "http.5xx", NOW, {"code": "x"}),
    **{name: make(MAC.verify(arrived())) for name, make in MAKERS.items()},
}
# Something else of each field, for whatever letter.
OTHERWISE: Final[Mapping[str, Any]] = {
    "kind": "message",
    "dead_letter_id": "another",
    "reason": "event.invalid_time_",
    "at": NOW + timedelta(seconds=1),
    "detail": {"pointer": "/other"},
    "source": "urn:other",
    "event_id": "e2",
    "event_type": "session.ended",
    "provider": "wibmo",
    "operation": wibmo.INVALIDATE_TOKEN,
    "subject": "bo…",
    "subject_keys": ("0" * 32,),
    "person_key": "0" * 32,
    "target_key": "0" * 32,
    "occurred_at": NOW + timedelta(days=1),
    "call": CALL.model_copy(update={"user_id": "another"}),
    "body": base64.b64encode(b"another").decode(),
    "content_type": "text/plain",
    "headers": {messages.DOOR: messages.CELERY_DOOR},
    "body_sha256": "0" * 64,
    "body_size": 1,
    "attempts": (Attempt(at=NOW, reason="http.429"),),
    "replays": 7,
    "redelivered": True,
    "unproved": True,
    "mac": "0" * 64,
}


@in_one_test
@pytest.mark.parametrize("name", LETTERS)
@pytest.mark.parametrize("field", DeadLetter.model_fields)
def test_a_letter_that_was_changed_in_any_field_is_not_vouched_for(name: str, field: str) -> None:
    """Whoever can write the ledger has no key to make its MAC."""
    letter = MAC.letters.sign(LETTERS[name])
    changed = letter.model_copy(update={field: OTHERWISE[field]})
    if changed == letter:
        changed = letter.model_copy(update={field: DeadLetter.model_fields[field].get_default()})
    assert changed != letter
    assert MAC.letters.verify(letter)
    assert not MAC.letters.verify(changed)
    with pytest.raises(ValueError, match="not as a process of ours made it"):
        replayed(changed)


@pytest.mark.parametrize("name", LETTERS)
def test_a_letter_keeps_its_mac_on_every_way_it_goes(name: str) -> None:
    """As a message, as the ledger's document, and back; another installation made another."""
    letter = MAC.letters.sign(LETTERS[name])
    for document in (letter.model_dump_json(), letter.model_dump_json(exclude_defaults=True)):
        assert MAC.letters.verify(DeadLetter.model_validate_json(document))
    assert not LetterMac(b"another installation").verify(letter)
    assert not MAC.letters.verify(LETTERS[name])


@pytest.mark.parametrize(
    "headers_of",
    [{}, {messages.DOOR: messages.CELERY_DOOR}, {messages.USER: "hr", messages.DOOR: messages.CELERY_DOOR}],
)
def test_a_letter_without_a_mac_is_replayed_as_a_claim_alone(headers_of: dict[str, Any]) -> None:
    """It may have been kept by an older version, or written by anybody: its attributes and signature go, no more."""
    bare = LETTERS["refused"].model_copy(update={"headers": LETTERS["refused"].headers | headers_of})
    message = replayed(bare)
    assert set(message.headers) == {*TIMED, messages.SIGNATURE}
    provenance = MAC.verify(again(message))
    assert (provenance.user, provenance.door, provenance.replays) == ("operator", None, 0)


@pytest.mark.parametrize("name", ["call", "unit", "held_back"])
def test_what_nothing_judges_again_is_no_claim(name: str) -> None:
    """A call reaches its provider at once; what was let in before would be taken for a copy, and vanish."""
    with pytest.raises(ValueError, match="not as a process of ours made it"):
        replayed(LETTERS[name])


OURS: Final = {
    messages.USER: "hr",
    messages.DOOR: messages.CELERY_DOOR,
    messages.REPLAYS: 1,
    messages.REPLAY_PROVIDER: "x",
    messages.LETTER: "l-1",
    messages.SIGNATURE: "a..b",
}


@in_one_test
@pytest.mark.parametrize("name", [*OURS, messages.VOUCHED_AT, messages.VOUCHER, "ce-id"])
@pytest.mark.parametrize("value", [None, "other", 2, False])
def test_a_voucher_dies_with_each_header_that_is_changed(name: str, value: object) -> None:
    """One at a time, taken away or replaced: what is left is anybody's message."""
    vouched = MAC.sign(messages.event(b"{}", "user.disabled", headers=OURS | {"ce-id": "e1"}))
    changed = {**vouched.headers, name: value}
    changed = {each: told for each, told in changed.items() if told is not None}
    provenance = MAC.verify(again(replace(vouched, headers=changed)))
    told = (provenance.user, provenance.door, provenance.replays, provenance.only_provider, provenance.letter)
    assert told == ("operator", None, 0, None, None)
    assert (provenance.vouched_at, provenance.voucher_expired) == (None, False)


@pytest.mark.parametrize("ours", [{messages.DOOR: messages.CELERY_DOOR}, {messages.REPLAYS: 1, messages.USER: "hr"}])
@pytest.mark.parametrize(
    ("age", "is_let_in"),
    [
        (timedelta(), True),
        (VOUCHER_LIFE, True),
        (VOUCHER_LIFE + timedelta(seconds=1), False),
        (-VOUCHER_LIFE - timedelta(seconds=1), False),
        (timedelta(days=900), False),
    ],
)
def test_a_voucher_lives_for_some_hours(ours: dict[str, Any], age: timedelta, is_let_in: bool) -> None:  # noqa: FBT001 - a table
    """Of the door and of a replay; what it proved is kept in the dead letter, for an operator who wants it still."""
    body = json.dumps(DATA).encode()
    old = ProvenanceMac(b"subject-key-of-a-unit-test-0123456789", lambda: NOW - age)
    published = old.sign(messages.event(body, "x", content_type="application/json", headers=TIMED | ours))
    provenance = MAC.verify(again(published))
    source = SourceSettings(source="urn:hr", users=frozenset({"hr"}))
    verdict = Authorizer({"hr": source}, proves_users=True).authorize(event(), provenance)
    if is_let_in:
        assert verdict == Granted()
    else:
        assert isinstance(verdict, Denied)
        assert (verdict.rule, verdict.listed_as) == (Rule.VOUCHER, "hr")
        kept = dead_letters.of_denied(verdict, provenance, NOW)
        fresh = dead_letters.of_denied(verdict, replace(provenance, voucher_expired=False), NOW)
        assert kept.dead_letter_id != fresh.dead_letter_id, "it may be a stranger's copy"
        assert {name: kept.headers[name] for name in ours if name in kept.headers} == {
            name: value for name, value in ours.items() if name != messages.REPLAYS
        }


def test_a_voucher_of_a_version_that_wrote_no_time_is_expired() -> None:
    """It may be as old as it likes; what it proves is kept."""
    headers = {messages.DOOR: messages.CELERY_DOOR}
    bare = messages.event(
        b"{}", "x", headers={**headers, messages.VOUCHER: MAC._mac(b"{}", messages.CLOUDEVENTS_JSON, headers)}
    )
    provenance = MAC.verify(again(bare))
    assert (provenance.door, provenance.voucher_expired) == (messages.CELERY_DOOR, True)


def test_a_token_in_clear_is_kept_by_no_letter() -> None:
    """Neither as a proof nor as a content type."""
    for change in ({"user": TOKEN}, {"headers": headers(x_revocation_signature=TOKEN)}, {"content_type": TOKEN}):
        letter = MAC.letters.sign(dead_letters.of_refused(REFUSAL, MAC.verify(arrived(**change)), NOW))
        assert TOKEN not in letter.model_dump_json()
        assert MAC.letters.verify(letter)


def test_the_intake_hands_over_all_that_makes_a_replay_one_of_its_own() -> None:
    """Which it is, of which letter, when, and for whom: else it is taken for another, and dropped."""
    ours = {messages.REPLAYS: 3, messages.LETTER: "l-1", messages.REPLAY_PROVIDER: "genesys"}
    body = json.dumps(DATA).encode()
    told = messages.event(body, "user.disabled", content_type="application/json", headers=TIMED | ours)
    source = SourceSettings(source="urn:hr", trusted=True, providers=frozenset({"genesys"}))
    controls = Controls(MAC, Authorizer({"hr": source}, proves_users=True), cast("Any", None), cast("Any", None))
    intake = Intake(cast("Any", None), cast("Any", None), controls)
    found = intake.read(again(MAC.sign(told))).accepted
    assert found is not None
    assert found == IncomingEvent(found.event, 3, "genesys", frozenset({"genesys"}), "l-1", NOW)
