"""What names a dead letter, and what vouches for it: two messages that a replay would tell apart are two letters."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.call import Attempt, Lane, Operation, ProviderCall
from tasks.events import InvalidEvent, RejectionCode, UserDisabled, parse_event
from tasks.outcome import Reason
from tasks.plan import RefusedUnit
from tasks.records import DeadLetter, dead_letter_of_call, digest
from tasks.subject import SubjectIndex
from worker import messages
from worker.admission import letters
from worker.admission.evidence import VOUCHER_LIFE, Evidence, Voucher
from worker.admission.judging import Admission, Denied, Granted, Rule
from worker.admission.letter_mac import LetterMac
from worker.admission.sources import SourceSettings
from worker.dead_letters import replay_message
from worker.publisher import Message
from worker.unreadable import unreadable

NOW: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
VOUCHER: Final = Voucher(b"subject-key-of-a-unit-test-0123456789", lambda: NOW)
SUBJECTS: Final = SubjectIndex(b"k" * 32)
DATA: Final = {"sub_id": {"format": "opaque", "id": "ada"}}
ATTRIBUTES: Final = {"ce-specversion": "1.0", "ce-id": "e1", "ce-source": "urn:hr", "ce-type": "user.disabled"}
TIMED: Final = ATTRIBUTES | {"ce-time": NOW.isoformat()}
REFUSAL: Final = InvalidEvent(RejectionCode.INVALID_TIME, "/time", body_storable=True, source="urn:hr", event_id="e1")
TOKEN: Final = "eyJhbGciOiJub25lIn0.c2VjcmV0.c2ln"


class Arrived:
    """A message as kombu hands it over."""

    def __init__(self, body: bytes, headers: Mapping[str, Any], content_type: str | None, user: str | None) -> None:
        self.body, self.headers, self.content_type, self.content_encoding = body, dict(headers), content_type, "utf-8"
        self.properties = {"user_id": user} if user else {}
        self.delivery_info: dict[str, Any] = {}


def arrived(**changed: Any) -> Any:
    """HR disables Ada, in binary mode, over its own broker user, signed; *changed* in one thing."""
    told = {"body": json.dumps(DATA).encode(), "headers": TIMED | {messages.SIGNATURE: "a..b"}, "user": "hr"}
    return Arrived(**({"content_type": "application/json", **told} | changed))


def again(published: Message) -> Any:
    """*published* by an operator's user, as the intake gets it."""
    return Arrived(published.body, published.headers, published.content_type, "operator")


def event() -> UserDisabled:
    """What the message says."""
    found = parse_event(json.dumps(DATA).encode(), now=NOW, content_type="application/json", headers=TIMED)
    assert isinstance(found, UserDisabled)
    return found


def of_unit(evidence: Evidence) -> DeadLetter:
    """The letter of its part at one provider."""
    [letter] = letters.of_units(event(), [RefusedUnit("x", Reason.ROUTE_UNKNOWN_PROVIDER)], evidence, NOW, SUBJECTS)
    return letter


MAKERS: Final[Mapping[str, Callable[[Evidence], DeadLetter]]] = {
    "refused": lambda evidence: letters.of_refused(REFUSAL, evidence, NOW),
    "denied": lambda evidence: letters.of_denied(Denied(Rule.USER, "/source", "hr", event()), evidence, NOW),
    "held_back": lambda evidence: letters.of_held_back(event(), evidence, NOW, SUBJECTS),
    "unit": of_unit,
    "given_up": lambda evidence: letters.of_given_up(event(), evidence, Reason.BROKER_EXPIRED, NOW, {}),
}
made = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def headers(**changed: object) -> dict[str, Any]:
    """Those of HR's message with *changed* (`_` for `-`); None takes one away."""
    told = arrived().headers | {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in told.items() if value is not None}


DIFFERENT: Final[Mapping[str, Mapping[str, Any]]] = {
    "another body": {"body": b'{"sub_id": {"format": "opaque", "id": "ada"} }'},
    "another content type": {"content_type": "application/cloudevents+json"},
    "no content type": {"content_type": None},
    "another user": {"user": "stranger"},
    "no user": {"user": None},
    "another signature": {"headers": headers(x_revocation_signature="a..c")},
    "no signature": {"headers": headers(x_revocation_signature=None)},
    **{f"another {name}": {"headers": headers(**{name: "urn:z"})} for name in TIMED},
    "one attribute more": {"headers": headers(**{"ce-subject": "x"})},
    "an attribute of another type": {"headers": headers(**{"ce-specversion": 1})},
    "an attribute under another name": {"headers": headers(**{"ce-id": None, "cloudEvents:id": "e1"})},
}


@made
@pytest.mark.parametrize("change", DIFFERENT.values(), ids=DIFFERENT)
def test_what_a_replay_would_tell_apart_is_two_letters(
    make: Callable[[Evidence], DeadLetter], change: Mapping[str, Any]
) -> None:
    """Nobody's message takes the place of another one's letter, nor of its tombstone."""
    mine, other = (make(VOUCHER.evidence(each)) for each in (arrived(), arrived(**change)))
    assert mine.dead_letter_id != other.dead_letter_id


@made
def test_every_delivery_of_one_message_is_one_letter(make: Callable[[Evidence], DeadLetter]) -> None:
    """Whatever the broker writes onto it on the way."""
    first, second = arrived(), arrived(headers=headers(x_delivery_count=3, x_death=[{"queue": "q"}]))
    second.delivery_info["redelivered"] = True
    mine, late = (make(VOUCHER.evidence(each)) for each in (first, second))
    assert mine.dead_letter_id == late.dead_letter_id
    assert (mine.redelivered, late.redelivered) == (False, True)


@given(st.lists(st.binary(max_size=3), max_size=4), st.lists(st.binary(max_size=3), max_size=4))
def test_no_two_sequences_of_parts_have_one_digest(one: list[bytes], other: list[bytes]) -> None:
    """Each part stands behind its length."""
    assert (digest(*one) == digest(*other)) == (one == other)


@given(
    *(
        st.fixed_dictionaries(
            {
                "body": st.sampled_from([b"", b"a", b'"'] * 2),
                "content_type": st.sampled_from([None, "", "a", '"']),
                "user": st.sampled_from([None, "a", "b"]),
                "headers": st.dictionaries(
                    st.sampled_from(["ce-id", "ce-a", messages.SIGNATURE]), st.sampled_from(["", "a", 1, True])
                ),
            }
        )
        for _ in range(2)
    )
)
def test_letters_are_one_where_their_replays_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    """The id is the same exactly where the messages that would be published are."""
    both = [letters.of_refused(REFUSAL, VOUCHER.evidence(arrived(**each)), NOW) for each in (one, other)]
    replays = [replayed(VOUCHER.letters.put_on(letter)) for letter in both]
    bare = [
        (each.body, each.content_type, *sorted((name, repr(value)) for name, value in each.headers.items()))
        for each in (
            replace(
                each, headers={k: v for k, v in each.headers.items() if k not in (messages.LETTER, messages.VOUCHER)}
            )
            for each in replays
        )
    ]
    assert (both[0].dead_letter_id == both[1].dead_letter_id) == (bare[0] == bare[1])


def replayed(letter: DeadLetter) -> Message:
    """The message that replays *letter*."""
    return replay_message(letter, NOW, dict.fromkeys(Lane, timedelta(hours=1)), VOUCHER)


@made
def test_a_replay_brings_along_all_that_the_first_delivery_proved(make: Callable[[Evidence], DeadLetter]) -> None:
    """Field by field; and what dies again is the same letter, of the next generation."""
    first = VOUCHER.evidence(arrived())
    letter = VOUCHER.letters.put_on(make(first))
    second = VOUCHER.evidence(again(replayed(letter)))
    part = letter.provider
    differs = {"replays": 1, "letter": letter.dead_letter_id, "vouched_at": NOW, "only_provider": part}
    for field in fields(Evidence):
        expected = differs.get(field.name, getattr(first, field.name))
        assert getattr(second, field.name) == expected, field.name
    refused_again = letters.of_refused(REFUSAL, second, NOW)
    assert (refused_again.dead_letter_id, refused_again.replays) == (letter.dead_letter_id, 1)
    assert refused_again.provider == part
    assert replayed(VOUCHER.letters.put_on(refused_again)).headers.get(messages.REPLAY_PROVIDER) == part


def test_a_replayed_part_that_dies_again_is_the_same_letter() -> None:
    """Whatever it was first refused for."""
    unit = VOUCHER.letters.put_on(of_unit(VOUCHER.evidence(arrived())))
    assert of_unit(VOUCHER.evidence(again(replayed(unit)))).dead_letter_id == unit.dead_letter_id


def test_the_parts_of_a_replayed_event_are_letters_of_their_own() -> None:
    """Two of them cannot share the event's."""
    whole = VOUCHER.letters.put_on(letters.of_refused(REFUSAL, VOUCHER.evidence(arrived()), NOW))
    evidence = VOUCHER.evidence(again(replayed(whole)))
    units = [RefusedUnit(name, Reason.ROUTE_UNKNOWN_PROVIDER) for name in ("x", "y")]
    ids = {each.dead_letter_id for each in letters.of_units(event(), units, evidence, NOW, SUBJECTS)}
    assert len(ids | {whole.dead_letter_id}) == 3


def test_a_door_and_a_provider_are_part_of_the_identity() -> None:
    """They come under a voucher only."""
    ids = set()
    for ours in ({}, {messages.DOOR: True}, {messages.REPLAY_PROVIDER: "x"}, {messages.USER: "hr"}):
        vouched = VOUCHER.put_on(messages.event(b"{}", "user.disabled", headers=ours))
        ids.add(letters.of_refused(REFUSAL, VOUCHER.evidence(again(vouched)), NOW).dead_letter_id)
    assert len(ids) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"other"},
        {"content_type": "text/plain"},
        {"content_type": None},
        {"user": "stranger"},
        {"user": None},
        {"headers": headers(**{"ce-id": "e2"})},
        {"headers": headers(x_revocation_signature="a..c")},
        {"headers": headers(x_revocation_user="hr")},
        {"headers": headers(task="other")},
    ],
)
def test_what_nobody_can_read_is_told_apart_all_the_same(change: Mapping[str, Any]) -> None:
    """It is counted and told of; a copy with other headers of the broker's is the same."""
    mine = unreadable(arrived(), "task.not_json").dead_letter_id
    assert unreadable(arrived(**change), "task.not_json").dead_letter_id != mine
    assert unreadable(arrived(headers=headers(x_delivery_count=2)), "task.not_json").dead_letter_id == mine


CALL: Final = ProviderCall(
    call_id="c-1",
    source="urn:hr",
    event_id="e1",
    event_type="user.disabled",
    occurred_at=NOW,
    deadline=NOW + timedelta(hours=1),
    provider="genesys",
    operation=Operation.GENESYS_DELETE_TOKEN,
    lane=Lane.URGENT,
    subject="ad…",
    user_id="4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77",
    attempts=(Attempt(at=NOW, reason="http.5xx", detail={"code": "1"}, delay=3),),
)
LETTERS: Final[Mapping[str, DeadLetter]] = {
    "call": dead_letter_of_call(CALL, "http.5xx", NOW, {"code": "x"}),
    **{name: make(VOUCHER.evidence(arrived())) for name, make in MAKERS.items()},
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
    "operation": Operation.WIBMO_INVALIDATE_TOKEN,
    "subject": "bo…",
    "subject_keys": ("0" * 32,),
    "person_key": "0" * 32,
    "target_key": "0" * 32,
    "occurred_at": NOW + timedelta(days=1),
    "call": CALL.model_copy(update={"user_id": "another"}),
    "body": base64.b64encode(b"another").decode(),
    "content_type": "text/plain",
    "headers": {messages.DOOR: True},
    "body_sha256": "0" * 64,
    "body_size": 1,
    "attempts": (Attempt(at=NOW, reason="http.429"),),
    "replays": 7,
    "redelivered": True,
    "unproved": True,
    "mac": "0" * 64,
}


@pytest.mark.parametrize("name", LETTERS)
@pytest.mark.parametrize("field", DeadLetter.model_fields)
def test_a_letter_that_was_changed_in_any_field_is_not_vouched_for(name: str, field: str) -> None:
    """Whoever can write the ledger has no key to make its MAC."""
    letter = VOUCHER.letters.put_on(LETTERS[name])
    changed = letter.model_copy(update={field: OTHERWISE[field]})
    if changed == letter:
        changed = letter.model_copy(update={field: DeadLetter.model_fields[field].get_default()})
    assert changed != letter
    assert VOUCHER.letters.covers(letter)
    assert not VOUCHER.letters.covers(changed)
    with pytest.raises(ValueError, match="not as a process of ours made it"):
        replayed(changed)


@pytest.mark.parametrize("name", LETTERS)
def test_a_letter_keeps_its_mac_on_every_way_it_goes(name: str) -> None:
    """As a message, as the ledger's document, and back; another installation made another."""
    letter = VOUCHER.letters.put_on(LETTERS[name])
    for document in (letter.model_dump_json(), letter.model_dump_json(exclude_defaults=True)):
        assert VOUCHER.letters.covers(DeadLetter.model_validate_json(document))
    assert not LetterMac(b"another installation").covers(letter)
    assert not VOUCHER.letters.covers(LETTERS[name])


@pytest.mark.parametrize("headers_of", [{}, {messages.DOOR: True}, {messages.USER: "hr", messages.DOOR: True}])
def test_a_letter_without_a_mac_is_replayed_as_a_claim_alone(headers_of: dict[str, Any]) -> None:
    """It may have been kept by an older version, or written by anybody: its attributes and signature go, no more."""
    bare = LETTERS["refused"].model_copy(update={"headers": LETTERS["refused"].headers | headers_of})
    message = replayed(bare)
    assert set(message.headers) == {*TIMED, messages.SIGNATURE}
    evidence = VOUCHER.evidence(again(message))
    assert (evidence.user, evidence.through_door, evidence.replays) == ("operator", False, 0)


@pytest.mark.parametrize("name", ["call", "unit", "held_back"])
def test_what_nothing_judges_again_is_no_claim(name: str) -> None:
    """A call reaches its provider at once; what was let in before would be taken for a copy, and vanish."""
    with pytest.raises(ValueError, match="not as a process of ours made it"):
        replayed(LETTERS[name])


OURS: Final = {
    messages.USER: "hr",
    messages.DOOR: True,
    messages.REPLAYS: 1,
    messages.REPLAY_PROVIDER: "x",
    messages.LETTER: "l-1",
    messages.SIGNATURE: "a..b",
}


@pytest.mark.parametrize("name", [*OURS, messages.VOUCHED_AT, messages.VOUCHER, "ce-id"])
@pytest.mark.parametrize("value", [None, "other", 2, False])
def test_a_voucher_dies_with_each_header_that_is_changed(name: str, value: object) -> None:
    """One at a time, taken away or replaced: what is left is anybody's message."""
    vouched = VOUCHER.put_on(messages.event(b"{}", "user.disabled", headers=OURS | {"ce-id": "e1"}))
    changed = {**vouched.headers, name: value}
    changed = {each: told for each, told in changed.items() if told is not None}
    evidence = VOUCHER.evidence(again(replace(vouched, headers=changed)))
    told = (evidence.user, evidence.through_door, evidence.replays, evidence.only_provider, evidence.letter)
    assert told == ("operator", False, 0, None, None)
    assert (evidence.vouched_at, evidence.voucher_expired) == (None, False)


@pytest.mark.parametrize("ours", [{messages.DOOR: True}, {messages.REPLAYS: 1, messages.USER: "hr"}])
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
    old = Voucher(b"subject-key-of-a-unit-test-0123456789", lambda: NOW - age)
    published = old.put_on(messages.event(body, "x", content_type="application/json", headers=TIMED | ours))
    evidence = VOUCHER.evidence(again(published))
    source = SourceSettings(source="urn:hr", users=frozenset({"hr"}))
    verdict = Admission({"hr": source}, proves_users=True).judge(event(), evidence)
    if is_let_in:
        assert verdict == Granted()
    else:
        assert isinstance(verdict, Denied)
        assert (verdict.rule, verdict.listed_as) == (Rule.VOUCHER, "hr")
        kept = letters.of_denied(verdict, evidence, NOW)
        fresh = letters.of_denied(verdict, replace(evidence, voucher_expired=False), NOW)
        assert kept.dead_letter_id != fresh.dead_letter_id, "it may be a stranger's copy"
        assert {name: kept.headers[name] for name in ours if name in kept.headers} == {
            name: value for name, value in ours.items() if name != messages.REPLAYS
        }


def test_a_voucher_of_a_version_that_wrote_no_time_is_expired() -> None:
    """It may be as old as it likes; what it proves is kept."""
    headers = {messages.DOOR: True}
    bare = messages.event(
        b"{}", "x", headers={**headers, messages.VOUCHER: VOUCHER._mac(b"{}", messages.CLOUDEVENTS_JSON, headers)}
    )
    evidence = VOUCHER.evidence(again(bare))
    assert (evidence.through_door, evidence.voucher_expired) == (True, True)


def test_a_token_in_clear_is_kept_by_no_letter() -> None:
    """Neither as a proof nor as a content type."""
    for change in ({"user": TOKEN}, {"headers": headers(x_revocation_signature=TOKEN)}, {"content_type": TOKEN}):
        letter = VOUCHER.letters.put_on(letters.of_refused(REFUSAL, VOUCHER.evidence(arrived(**change)), NOW))
        assert TOKEN not in letter.model_dump_json()
        assert VOUCHER.letters.covers(letter)
