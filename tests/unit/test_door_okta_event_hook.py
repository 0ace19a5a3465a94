"""Okta event hooks: who of a log event is meant, what is told, and that nothing of a delivery is lost for the rest."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from door_arrivals import NOW, arrival
from hypothesis import given
from hypothesis import strategies as st
from in_one_test import in_one_test
from okta_samples import DEACTIVATED, DELIVERY, SESSION_ENDED

from tasks.doors import Verdict, Word
from tasks.doors.okta_event_hook import CHALLENGE, KIND, OktaEventHook, Settings
from tasks.events import Event

ORGANIZATION: Final = "https://example.okta.com"
SETTINGS: Final = {"kind": KIND.name, "subject_issuer": ORGANIZATION}
JOHN: Final = {"format": "iss_sub", "iss": ORGANIZATION, "sub": "00u3m90rxKjGQ0G6L1d6"}


def sent(body: bytes, *, settings: dict[str, Any] | None = None, **request: Any) -> Verdict:
    """What a request comes to."""
    return OktaEventHook(Settings.model_validate(SETTINGS | (settings or {}))).judge(arrival(body, **request))


def delivered(*log_events: object, **settings: Any) -> Verdict:
    """What a delivery of *log_events* comes to."""
    document = json.loads(DELIVERY)
    document["data"]["events"] = list(log_events)
    return sent(json.dumps(document).encode(), settings=settings)


def changed(**members: Any) -> dict[str, Any]:
    """The sample of a deactivation with other *members*."""
    return {**json.loads(DEACTIVATED), **members}


def test_the_challenge_of_a_new_hook_is_answered() -> None:
    """By the header's value in `verification`; a GET without one is no challenge."""
    verdict = sent(b"", method="GET", headers={CHALLENGE.lower(): "1Qb2yX"})
    assert (verdict.word, verdict.answer.status) == (Word.CHALLENGE, 200)
    assert json.loads(verdict.answer.body) == {"verification": "1Qb2yX"}
    assert sent(b"", method="GET").answer.status == 405
    assert sent(b"", method="GET", headers={CHALLENGE: "x" * 1025}).answer.status == 405


def test_the_target_of_a_deactivation_is_logged_out_and_not_the_administrator() -> None:
    """Okta's own sample: the actor is the one who clicked; `uuid` and `published` are the event's id and time."""
    verdict = delivered(json.loads(DEACTIVATED))
    assert (verdict.word, verdict.answer.status, verdict.answer.body) == (Word.ACCEPTED, 204, b"")
    event = verdict.events[0].parsed(ORGANIZATION, NOW)
    assert isinstance(event, Event)
    assert (event.type, event.id) == ("user.disabled", "ab62c0bc-2837-11eb-9823-9fb8f750c5a9")
    assert event.time == datetime(2020, 11, 16, 18, 15, 12, 862000, UTC)
    assert verdict.events[0].data == {"sub_id": JOHN, "reason": "user.lifecycle.deactivate"}


def test_several_events_of_one_delivery_come_in_any_order_and_again() -> None:
    """Each has its own id and time, whatever it came with (okta-developer-docs#2070, #3992)."""
    one, other = changed(), changed(uuid="u2", published="2020-11-16T18:15:11.000Z", eventType="user.lifecycle.suspend")
    first, again = delivered(one, other), delivered(other, one, one)
    bodies = {event.event_id: event.body(ORGANIZATION) for event in first.events}
    assert len(bodies) == 2
    assert {event.event_id: event.body(ORGANIZATION) for event in again.events} == bodies


@in_one_test
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("user.lifecycle.deactivate", "user.disabled"),
        ("user.lifecycle.suspend", "user.disabled"),
        ("user.lifecycle.delete.completed", "user.disabled"),
        ("user.session.clear", "user.disabled"),
        ("user.lifecycle.activate", "user.enabled"),
        ("user.lifecycle.reactivate", "user.enabled"),
        ("user.lifecycle.unsuspend", "user.enabled"),
    ],
)
def test_what_happens_to_a_whole_user_is_told(name: str, kind: str) -> None:
    """Of a target that is a user: an application beside it is nobody."""
    application = {"id": "0oa1", "type": "AppInstance", "alternateId": "unknown", "displayName": "CRM"}
    verdict = delivered(changed(eventType=name, target=[application, *json.loads(DEACTIVATED)["target"]]))
    [event] = verdict.events
    assert (event.type, event.data["sub_id"]) == (kind, JOHN)
    assert isinstance(event.parsed(ORGANIZATION, NOW), Event)


def test_two_users_of_one_log_event_are_two_events() -> None:
    """Their ids differ, and are the same each time."""
    users = [{"id": each, "type": "User"} for each in ("00u1", "00u2")]
    verdict = delivered(changed(target=users))
    assert [event.event_id for event in verdict.events] == [f"{changed()['uuid']}:{number}" for number in range(2)]
    assert [event.data["sub_id"]["sub"] for event in verdict.events] == ["00u1", "00u2"]


def test_the_end_of_one_session_is_not_said_to_be_done() -> None:
    """It has no target; its user is the actor, and is logged out everywhere only where the settings say so."""
    ended = json.loads(SESSION_ENDED)
    verdict = delivered(ended)
    assert (verdict.word, verdict.answer.status, verdict.events) == (Word.UNKNOWN, 204, ())
    [event] = delivered(ended, ends_whole_user=True).events
    assert event.data == {"sub_id": {**JOHN, "sub": ended["actor"]["id"]}, "reason": "user.session.end"}
    assert delivered({**ended, "actor": {"id": "0oa1", "type": "PublicClientApp"}}, ends_whole_user=True).events == ()


def test_one_session_ends_by_its_id_where_the_session_registry_is_used() -> None:
    """By what Okta calls it; one that names no session cannot be read."""
    ended = json.loads(SESSION_ENDED)
    [event] = delivered(ended, ends_sessions=True).events
    session = ended["authenticationContext"]["externalSessionId"]
    whose = {"session_issuer": JOHN["iss"], "sub_id": {**JOHN, "sub": ended["actor"]["id"]}}
    assert event.type == "session.ended"
    assert event.data == {"session_ids": [session], "reason": "user.session.end", **whose}
    assert delivered({**ended, "authenticationContext": None}, ends_sessions=True).word is Word.MALFORMED


@in_one_test
@pytest.mark.parametrize(
    "members",
    [
        {"outcome": {"result": "FAILURE", "reason": "VERIFICATION_ERROR"}},
        {"outcome": {"result": "SKIPPED"}},
        {"outcome": None},
        {"eventType": "user.session.start"},
        {"eventType": "user.lifecycle.delete.initiated"},
        {"eventType": "user.account.lock"},
    ],
)
def test_what_did_not_happen_or_asks_for_nothing_logs_nobody_out(members: dict[str, Any]) -> None:
    """It is taken; a lock after wrong passwords is what an attacker can cause."""
    verdict = delivered(changed(**members))
    assert (verdict.word, verdict.answer.status, verdict.events) == (Word.NOTHING, 204, ())


@in_one_test
@pytest.mark.parametrize(
    "members",
    [
        {"uuid": None},
        {"uuid": ""},
        {"published": "yesterday"},
        {"published": 1605550512},
        {"target": None},
        {"target": []},
        {"target": [{"id": "0oa1", "type": "AppInstance"}]},
        {"target": [{"id": 7, "type": "User"}]},
    ],
)
def test_one_that_cannot_be_read_takes_no_other_with_it(members: dict[str, Any]) -> None:
    """A 4xx is never sent again, so those beside it are told all the same."""
    verdict = delivered(changed(**members), changed(uuid="u2"), 7)
    assert (verdict.word, verdict.answer.status) == (Word.MALFORMED, 400)
    assert [event.event_id for event in verdict.events] == ["u2"]


@in_one_test
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"data":[]}', b'{"data":{"events":{}}}', b"{" * 100])
def test_what_is_no_delivery_is_malformed(body: bytes) -> None:
    """And tells nothing."""
    assert sent(body).answer.status == 400


def test_what_may_succeed_later_is_not_refused_for_ever() -> None:
    """Okta tries once more after any status but 4xx; what it skips after a failure (#5195) is the sweep's to find."""
    hook = OktaEventHook(Settings.model_validate(SETTINGS))
    assert {hook.refuse(word).status for word in (Word.TOO_MANY, Word.TOO_SLOW, Word.UNAVAILABLE)} == {503}
    assert hook.refuse(Word.UNPROVED).status == 401


@given(
    st.recursive(st.none() | st.booleans() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each))
)
def test_whatever_strangers_send_is_answered(value: object) -> None:
    """Never with an event."""
    assert delivered(value, ends_whole_user=True).events == ()
