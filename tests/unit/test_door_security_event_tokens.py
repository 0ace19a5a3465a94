"""Security Event Tokens: which are believed, and what the transmitter hears."""

import json

import pytest
from door_arrivals import AT
from hypothesis import given
from hypothesis import strategies as st
from in_one_test import in_one_test
from pushed_tokens import (
    DISABLED,
    FORGER,
    LENIENCIES,
    RISC,
    SETTINGS,
    SOURCE,
    SSF,
    STRANGER,
    error_of,
    judged,
    pushed,
    signed,
)

from tasks.doors import Word
from tasks.doors.security_event_tokens import SecurityEventTokens, Settings


def test_a_redelivery_is_the_same_event() -> None:
    """Signed anew or not."""
    assert judged().events[0].body(SOURCE) == judged().events[0].body(SOURCE)


@in_one_test
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_request"),
        (b"\xff\xfe", "invalid_request"),
        ("a.b.c", "invalid_request"),
        (signed({DISABLED: {}}, "JWT"), "invalid_request"),
        (signed({DISABLED: {}}, None), "invalid_request"),
        (signed({DISABLED: {}}, key=STRANGER), "invalid_key"),
        (signed({DISABLED: {}}, key=FORGER), "authentication_failed"),
        (signed({DISABLED: {}}, iss="https://other.example.com"), "invalid_issuer"),
        (signed({DISABLED: {}}, aud=["https://other.example.com"]), "invalid_audience"),
        (signed({DISABLED: {}}, exp=AT + 240), "invalid_request"),
        (signed({DISABLED: {}}, exp=AT - 240), "invalid_request"),
        (signed({DISABLED: {}}, sub="00u1"), "invalid_request"),
        (signed({DISABLED: {}}, iat=AT + 61), "invalid_request"),
        (signed({DISABLED: {}}, jti=None), "invalid_request"),
        (signed({DISABLED: {}}, jti=7), "invalid_request"),
        (signed({}), "invalid_request"),
        (signed(None), "invalid_request"),
        (signed([DISABLED]), "invalid_request"),
        (signed({DISABLED: []}), "invalid_request"),
        (signed({DISABLED: {}}, sub_id=None), "invalid_request"),
        (signed({DISABLED: {}}, sub_id={"format": "email"}), "invalid_request"),
        (signed({DISABLED: {}}, sub_id={"format": "complex", "user": {"format": "complex"}}), "invalid_request"),
        (signed({DISABLED: {}}, sub_id={"format": "scim", "externalId": "1"}), "invalid_request"),
        (signed({DISABLED: {"event_timestamp": "now"}}), "invalid_request"),
        (signed({DISABLED: {"event_timestamp": -1}}), "invalid_request"),
        (signed({DISABLED: {"event_timestamp": AT * 1000}}), "invalid_request"),
        (signed({DISABLED: {}}, toe=True), "invalid_request"),
        (signed({DISABLED: {}, f"{RISC}account-enabled": {}}), "invalid_request"),
    ],
)
def test_what_is_not_believed_hears_the_registered_code(body: str | bytes, code: str) -> None:
    """And becomes no event (RFC 8935, section 2.4)."""
    assert error_of(pushed(body)) == code


def test_no_signature_is_refused_by_its_name() -> None:
    """`none` is no algorithm here (authkestra#309)."""
    unsigned = f"eyJhbGciOiJub25lIiwidHlwIjoic2VjZXZlbnQrand0In0.{signed({DISABLED: {}}).split('.')[1]}."
    assert pushed(unsigned).events == ()


def test_only_an_unknown_key_is_looked_for() -> None:
    """A rotation is followed; a forged token causes no look at the issuer."""
    assert pushed(signed({DISABLED: {}}, key=STRANGER)).wants_keys
    assert not pushed(signed({DISABLED: {}}, key=FORGER)).wants_keys


def test_every_leniency_has_a_name_and_is_off() -> None:
    """A token without a type is let in by one."""
    assert Settings.model_validate(SETTINGS).leniencies == ()
    assert set(Settings.model_validate(SETTINGS | LENIENCIES).leniencies) == LENIENCIES.keys()
    assert judged(claims={"typ": None}, untyped_tokens=True).word is Word.ACCEPTED


def test_a_stream_is_verified_before_any_event_comes() -> None:
    """So that a push that never arrives (caep.dev#47) is seen by the doctor: the door counts it as an arrival."""
    asked = judged(f"{SSF}verification", {"state": "s"})
    assert (asked.answer.status, asked.word, asked.events) == (202, Word.CHALLENGE, ())


def test_an_audience_is_any_name() -> None:
    """Apple's is the id of the team, not of the client (Kiero-Server#268)."""
    assert judged(claims={"aud": "TEAM123456"}, audience="TEAM123456").word is Word.ACCEPTED
    assert error_of(judged(claims={"aud": "com.example.app"}, audience="TEAM123456")) == "invalid_audience"


def test_refusals_of_the_process_have_the_form_of_the_standard() -> None:
    """A missing bearer secret is 401; later is later."""
    door = SecurityEventTokens(Settings.model_validate(SETTINGS))
    assert [door.refuse(why).status for why in (Word.UNPROVED, Word.UNAVAILABLE, Word.TOO_MANY)] == [401, 503, 429]
    assert json.loads(door.refuse(Word.UNPROVED).body)["err"] == "authentication_failed"
    assert pushed(signed({DISABLED: {}}), method="GET").answer.status == 405


@given(st.binary(max_size=200))
def test_whatever_strangers_push_is_answered(body: bytes) -> None:
    """Never with an event."""
    assert pushed(body).events == ()
