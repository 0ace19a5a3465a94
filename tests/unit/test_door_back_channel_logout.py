"""Back-channel logout: which logout tokens are believed, whom they log out, and what cannot be done is not claimed."""

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from door_arrivals import AT, AUDIENCE, ISSUER, NOW, arrival, token
from hypothesis import given
from hypothesis import strategies as st
from in_one_test import in_one_test
from joserfc.jwk import ECKey

from tasks.doors import Verdict, Word
from tasks.doors.back_channel_logout import EVENT, KIND, TYPE, BackChannelLogout, Settings
from tasks.events import Event

SETTINGS: Final = {"kind": KIND.name, "issuer": ISSUER, "audience": AUDIENCE, "jwks_file": Path("/keys")}
STRANGER: Final = ECKey.generate_key("P-256", {"kid": "k2"})
LENIENCIES: Final[dict[str, Any]] = {"untyped_tokens": True, "tokens_without_expiry": True}


def sent(body: bytes, *, method: str = "POST", **settings: Any) -> Verdict:
    """What a request comes to."""
    return BackChannelLogout(Settings.model_validate(SETTINGS | settings)).judge(arrival(body, method=method))


def form(claims: dict[str, Any] | None = None, typ: str | None = TYPE, **more: Any) -> bytes:
    """Return the form with a logout token of Ada, with other *claims* where they are given."""
    whole = {"sub": "00u1", "exp": AT + 60, "events": {EVENT: {}}, **(claims or {})}
    return urlencode({"logout_token": token(whole, typ=typ, **more)}).encode()


def judged(claims: dict[str, Any] | None = None, typ: str | None = TYPE, **settings: Any) -> Verdict:
    """What a logout token comes to."""
    return sent(form(claims, typ), **settings)


def error_of(verdict: Verdict) -> str:
    """What the provider hears of a logout that failed."""
    assert (verdict.answer.status, verdict.events) == (400, ())
    assert verdict.answer.headers["Cache-Control"] == "no-store"
    document = json.loads(verdict.answer.body)
    assert document["error"] == "invalid_request"
    return str(document["error_description"])


@in_one_test
@pytest.mark.parametrize("typ", [TYPE, f"application/{TYPE}", TYPE.upper()])
@pytest.mark.parametrize("claims", [{}, {"aud": ["other", AUDIENCE]}, {"exp": AT + 120}])
def test_a_token_of_a_user_ends_everything_of_theirs(claims: dict[str, Any], typ: str) -> None:
    """Its id and time are the event's, so a redelivery is the same one (typ: authkestra#309)."""
    verdict = judged(claims, typ)
    assert (verdict.answer.status, verdict.answer.body, verdict.word) == (200, b"", Word.ACCEPTED)
    assert verdict.answer.headers["Cache-Control"] == "no-store"
    event = verdict.events[0].parsed(ISSUER, NOW)
    assert isinstance(event, Event)
    assert (event.type, event.id) == ("user.disabled", "j1")
    assert verdict.events[0].data["sub_id"] == {"format": "iss_sub", "iss": ISSUER, "sub": "00u1"}
    assert verdict.events[0].body(ISSUER) == judged(claims, typ).events[0].body(ISSUER)


@in_one_test
@pytest.mark.parametrize("claims", [{"sid": "s1"}, {"sid": "s1", "sub": None}])
def test_one_session_is_not_said_to_be_ended(claims: dict[str, Any]) -> None:
    """Nor is its user logged out elsewhere for it: the provider hears that this logout failed."""
    assert "one session" in error_of(judged(claims))
    assert judged(claims).word is Word.UNKNOWN


@in_one_test
@pytest.mark.parametrize("sub", ["00u1", None])
def test_one_session_ends_by_its_id_where_the_session_registry_is_used(sub: str | None) -> None:
    """Named by its issuer; whose it was stands there where the token says it, and nothing else of theirs ends."""
    verdict = judged({"sid": "s1", "sub": sub}, ends_sessions=True)
    assert (verdict.answer.status, verdict.word) == (200, Word.ACCEPTED)
    event = verdict.events[0].parsed(ISSUER, NOW)
    assert isinstance(event, Event)
    whose = {"sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": sub}} if sub else {}
    named = {"session_ids": ["s1"], "session_issuer": ISSUER, "reason": "back-channel-logout"}
    assert (event.type, verdict.events[0].data) == ("session.ended", named | whose)
    assert judged({}, ends_sessions=True).events[0].type == "user.disabled"


def test_one_session_ends_its_user_where_the_settings_say_so() -> None:
    """Only where the token names the user; the setting is a choice, and no leniency."""
    assert judged({"sid": "s1"}, ends_whole_user=True).word is Word.ACCEPTED
    assert judged({"sid": "s1", "sub": None}, ends_whole_user=True).word is Word.UNKNOWN
    assert Settings.model_validate(SETTINGS | {"ends_whole_user": True}).leniencies == ()


@in_one_test
@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"events": None}, "events"),
        ({"events": {}}, "events"),
        ({"events": [EVENT]}, "events"),
        ({"events": {EVENT: None}}, "events"),
        ({"nonce": "n"}, "nonce"),
        ({"nonce": ""}, "nonce"),
        ({"jti": None}, "jti"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": "00u1", "sid": 7}, "sub"),
        ({"iss": "https://other.example.com"}, "iss"),
        ({"aud": "other"}, "aud"),
        ({"iat": None}, "iat"),
        ({"iat": AT + 61}, "iat"),
        ({"exp": AT - 61}, "exp"),
    ],
)
def test_a_token_that_is_no_logout_token_logs_nobody_out(claims: dict[str, Any], why: str) -> None:
    """Without `events`, or with `nonce`, it is an ID token at best (wildfly-elytron#2411), leniencies or not."""
    assert error_of(judged(claims)) == why
    assert error_of(judged(claims, **LENIENCIES)) == why


def test_a_token_without_an_end_is_refused() -> None:
    """It would be good for ever (sourcemeta/core#2679); Keycloak before 23.0.4 makes none else (keycloak#25753)."""
    assert error_of(judged({"exp": None})) == "exp"
    assert judged({"exp": None}, tokens_without_expiry=True).word is Word.ACCEPTED


@in_one_test
@pytest.mark.parametrize("settings", [{}, LENIENCIES])
def test_an_access_token_is_no_logout_token(settings: dict[str, Any]) -> None:
    """By its type, or by what only such a token has (OpenLiberty#27288)."""
    assert error_of(judged({}, "at+jwt", **settings)) == "typ"
    assert error_of(judged({}, "application/at+jwt", **settings)) == "typ"
    assert error_of(judged({"scope": "openid"}, **settings)) == "scope"


def test_a_token_without_a_type_needs_a_leniency() -> None:
    """Both are named and off."""
    assert error_of(judged({}, "JWT")) == error_of(judged({}, None)) == "typ"
    assert judged({}, "JWT", untyped_tokens=True).word is judged({}, None, untyped_tokens=True).word is Word.ACCEPTED
    assert Settings.model_validate(SETTINGS).leniencies == ()
    assert set(Settings.model_validate(SETTINGS | LENIENCIES).leniencies) == LENIENCIES.keys()


@in_one_test
@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"logout_token=", form() + b"&" + form(), b"token" + form(), b"a=b&" * 20, b"logout_token=x"]
)
def test_a_form_without_one_token_is_malformed(body: bytes) -> None:
    """Two tokens are not guessed between."""
    assert error_of(sent(body))


def test_keys_are_looked_for_and_only_a_post_logs_out() -> None:
    """A rotation is followed."""
    assert sent(form(key=STRANGER)).wants_keys
    assert sent(form(), method="GET").answer.status == 405


@given(st.binary(max_size=200), st.text(max_size=40))
def test_whatever_strangers_send_is_answered(body: bytes, text: str) -> None:
    """Never with an event."""
    assert sent(body).events == ()
    assert sent(urlencode({"logout_token": text}).encode()).events == ()
