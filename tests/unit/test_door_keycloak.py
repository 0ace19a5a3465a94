"""Keycloak: which of its events end what, in both layouts, and which proof of a webhook holds."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
from door_arrivals import AUDIENCE, NOW, arrival, token
from hypothesis import given
from hypothesis import strategies as st
from in_one_test import in_one_test
from joserfc.jwk import ECKey
from keycloak_samples import LOGGED_OUT, PUBLISHED, REALM, USER, updated
from pydantic import ValidationError

from tasks.doors import Verdict, Word
from tasks.doors.keycloak import KIND, Keycloak, Settings
from tasks.events import Event

ISSUER: Final = "https://login.example.com/realms/acme"
SETTINGS: Final = {"kind": KIND.name, "hmac_file": "/secret", "realms": ["acme", REALM], "issuer": ISSUER}
SIGNED: Final = {"audience": AUDIENCE, "jwks_file": Path("/keys")}
STRANGER: Final = ECKey.generate_key("P-256", {"kid": "k2"})
ADA: Final = {"format": "iss_sub", "iss": ISSUER, "sub": USER}


def sent(body: bytes | str, *, settings: dict[str, Any] | None = None, **request: Any) -> Verdict:
    """What a request comes to."""
    written = body.encode() if isinstance(body, str) else body
    return Keycloak(Settings.model_validate(SETTINGS | (settings or {}))).judge(arrival(written, **request))


def told(document: object, **settings: Any) -> Verdict:
    """What an event comes to."""
    return sent(json.dumps(document), settings=settings)


@in_one_test
@pytest.mark.parametrize(
    "body", [PUBLISHED, json.dumps(updated()), json.dumps(updated(realmId="acme", realmName=None))]
)
def test_an_administrator_who_disables_a_user_logs_them_out(body: str) -> None:
    """Whichever extension tells it; the administrator (`authDetails`) stays. The same content is the same event."""
    verdict = sent(body)
    assert (verdict.word, verdict.answer.status, verdict.answer.body) == (Word.ACCEPTED, 204, b"")
    event = verdict.events[0].parsed(ISSUER, NOW)
    assert isinstance(event, Event)
    assert (event.type, event.time.isoformat()) == ("user.disabled", "2020-08-09T05:33:20.408000+00:00")
    assert verdict.events[0].data == {"sub_id": ADA, "reason": "admin.USER-UPDATE"}
    assert verdict.events[0].body(ISSUER) == sent(body).events[0].body(ISSUER)


def test_an_event_is_called_as_keycloak_calls_it() -> None:
    """By the webhook's send, else by the event's own id; one without any by what is in it."""
    assert told(updated()).events[0].event_id == "cb444835-f5c3-4666-8a6f-1adfa6c0391d"
    assert told(updated(uid=None, id="e1")).events[0].event_id == "e1"
    one, other = (sent(each).events[0].event_id for each in (PUBLISHED, PUBLISHED.replace("408", "409")))
    assert len({one, other, sent(PUBLISHED).events[0].event_id}) == 2


@in_one_test
@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"operationType": "DELETE", "representation": None}, "admin.USER-DELETE"),
        ({"operationType": "ACTION", "resourcePath": f"users/{USER}/logout"}, "admin.USER-ACTION"),
        ({"representation": '{"enabled":false}'}, "admin.USER-UPDATE"),
    ],
)
def test_what_an_administrator_does_to_a_whole_user_is_told(members: dict[str, Any], reason: str) -> None:
    """A deletion, a logout of all sessions, an update that sends nothing but `enabled`."""
    [event] = told(updated(**members)).events
    assert event.data == {"sub_id": ADA, "reason": reason}


@in_one_test
@pytest.mark.parametrize(
    "members",
    [
        {"representation": '{"enabled":true}'},
        {"representation": '{"firstName":"Ada"}'},
        {"representation": '{"enabled":"false"}'},
        {"error": "user_not_found"},
        {"realmId": "other", "realmName": "other"},
        {"operationType": "CREATE"},
        {"operationType": "ACTION", "resourcePath": f"users/{USER}/reset-password"},
        {"operationType": "DELETE", "resourcePath": f"users/{USER}/federated-identity/google"},
        {"operationType": "DELETE", "resourcePath": f"users/{USER}/groups/g1", "resourceType": "GROUP_MEMBERSHIP"},
        {"operationType": "DELETE", "resourcePath": "clients/c1", "resourceType": "CLIENT"},
    ],
)
def test_any_other_work_of_administrators_logs_nobody_out(members: dict[str, Any]) -> None:
    """Nor does an attempt that failed, nor another realm."""
    verdict = told(updated(**members))
    assert (verdict.word, verdict.answer.status, verdict.events) == (Word.NOTHING, 204, ())


@in_one_test
@pytest.mark.parametrize("representation", [None, "", "representation details here....", "[]", "\ud800"])
def test_an_update_that_does_not_show_what_was_sent_is_not_said_to_be_harmless(representation: str | None) -> None:
    """It may have disabled somebody: Keycloak hears 400, and its administrator sees the webhook fail."""
    verdict = told(updated(representation=representation))
    assert (verdict.word, verdict.answer.status, verdict.events) == (Word.MALFORMED, 400, ())
    assert b"representation" in verdict.answer.body


@in_one_test
@pytest.mark.parametrize("kind", ["DELETE_ACCOUNT", "USER_DISABLED_BY_PERMANENT_LOCKOUT"])
def test_what_users_do_to_their_whole_account_is_told(kind: str) -> None:
    """In the layout of the webhook and in that of the plugin."""
    webhook = {**LOGGED_OUT, "type": f"access.{kind}"}
    plugin = {"@class": "x", "time": 1711651627565, "type": kind, "realmId": "acme", "userId": USER, "sessionId": "s1"}
    for document in (webhook, plugin):
        [event] = told(document).events
        assert event.data == {"sub_id": ADA, "reason": f"access.{kind}"}


@in_one_test
@pytest.mark.parametrize("details", [{"details": {}}, {"details": None}, {}])
def test_one_logout_is_not_said_to_end_more(details: dict[str, Any]) -> None:
    """With details or without: the logout of a client that sends no address back has none (keycloak#51571)."""
    logout = {name: value for name, value in LOGGED_OUT.items() if name != "details"} | details
    verdict = told(logout)
    assert (verdict.word, verdict.answer.status, verdict.events) == (Word.UNKNOWN, 204, ())
    [event] = told(logout, ends_whole_user=True).events
    assert event.data == {"sub_id": ADA, "reason": "access.LOGOUT"}
    [event] = told({**logout, "sessionId": "s1"}, ends_sessions=True).events
    named = {"session_ids": ["s1"], "session_issuer": ISSUER}
    assert (event.type, event.data) == ("session.ended", {**named, "sub_id": ADA, "reason": "access.LOGOUT"})


@in_one_test
@pytest.mark.parametrize("kind", ["REVOKE_GRANT", "LOGOUT_ERROR", "LOGIN", "USER_DISABLED_BY_TEMPORARY_LOCKOUT"])
def test_a_revoked_token_of_one_client_ends_no_user(kind: str) -> None:
    """Keycloak's transmitter tells nothing of its `/revoke` (keycloak#51376); a webhook does, of that grant alone."""
    assert told({**LOGGED_OUT, "type": f"access.{kind}"}, ends_whole_user=True).word is Word.NOTHING


@in_one_test
@pytest.mark.parametrize(
    "members", [{"time": None}, {"time": "1711651627565"}, {"time": -1}, {"time": 10**40}, {"time": True}]
)
def test_an_event_of_no_time_is_malformed(members: dict[str, Any]) -> None:
    """Keycloak counts milliseconds."""
    assert told(updated(**members)).answer.status == 400
    assert told({**LOGGED_OUT, "authDetails": {"userId": None}}, ends_whole_user=True).word is Word.MALFORMED


def test_a_token_of_the_realm_proves_the_body_that_it_was_made_for() -> None:
    """And no other one: not the next event, not one of somebody who has seen a token."""
    body = json.dumps(updated())

    def proved(claims: dict[str, Any] | None = None, typ: str | None = "JWT", **more: Any) -> Verdict:
        whole = {"iss": ISSUER, "request_body_sha256": sha256(body.encode()).hexdigest(), **(claims or {})}
        headers = {"Authorization": f"Bearer {token(whole, typ=typ, **more)}"}
        return sent(body, settings=SIGNED, headers=headers)

    assert proved().word is Word.ACCEPTED
    refused: list[dict[str, Any]] = [
        {"request_body_sha256": sha256(b"{}").hexdigest()},
        {"request_body_sha256": None},
        {"aud": "other"},
    ]
    refused += [{"iss": "https://login.example.com/realms/other"}, {"exp": None}, {"request_body_sha256": "ü"}]
    assert [proved(each).answer.status for each in refused] == [401] * len(refused)
    assert proved(typ="logout+jwt").answer.status == 401
    assert proved(key=STRANGER).wants_keys
    assert sent(body, settings=SIGNED).answer.status == 401


@in_one_test
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"audience": AUDIENCE}, "set jwks_uri or jwks_file"),
        ({"jwks_file": "/keys"}, "audience: must be set"),
        ({"audience": AUDIENCE, "jwks_uri": "http://login.example.com"}, "jwks_uri: must be https://"),
        ({"realms": []}, "realms"),
        ({"exchange": "amq.topic"}, "exchange: a message at the broker carries no other proof"),
    ],
)
def test_settings_that_prove_nothing_are_refused(settings: dict[str, Any], said: str) -> None:
    """A token needs keys and an audience."""
    with pytest.raises(ValidationError, match=said):
        Settings.model_validate(SETTINGS | settings)


def test_a_token_or_another_proof_is_enough() -> None:
    """One of them must be there: the settings of all doors see to that."""
    bare = {name: value for name, value in SETTINGS.items() if name != "hmac_file"}
    assert Settings.model_validate(SETTINGS).is_proved
    assert Settings.model_validate(bare | SIGNED).is_proved
    assert not Settings.model_validate(bare).is_proved
    assert Settings.model_validate(SETTINGS).hmac_header == "X-Keycloak-Signature"


def test_over_the_broker_there_is_no_address_and_no_other_proof() -> None:
    """What is asked for there is what ends something, of every realm: the realm is looked at in the message."""
    bare = {name: value for name, value in SETTINGS.items() if name != "hmac_file"}
    door = Settings.model_validate(bare | {"exchange": "amq.topic"})
    assert not door.is_pushed
    assert door.subscribed
    assert "KK.EVENT.ADMIN.*.SUCCESS.USER.*" in door.subscribed.routing_keys
    assert Settings.model_validate(SETTINGS).subscribed is None


def test_only_a_post_tells_anything() -> None:
    """Of an object."""
    assert sent(PUBLISHED, method="GET").answer.status == 405
    assert sent("[]").answer.status == sent(b"\xff").answer.status == 400


@given(st.dictionaries(st.sampled_from([*updated(), *LOGGED_OUT]), st.none() | st.text() | st.integers() | st.floats()))
def test_whatever_strangers_send_is_answered(members: dict[str, Any]) -> None:
    """In a word."""
    assert told({**LOGGED_OUT, **members}).word in Word
    assert told(members).events == ()
