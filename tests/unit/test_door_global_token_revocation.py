"""Global Token Revocation: who may command, what a command is, and what it becomes."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from door_arrivals import AT, AUDIENCE, ISSUER, KEYS, NOW, arrival, token
from hypothesis import given
from hypothesis import strategies as st
from in_one_test import in_one_test
from joserfc.jwk import ECKey, KeySet, OctKey

from tasks.doors import Verdict, Word
from tasks.doors.global_token_revocation import KIND, TYPE, GlobalTokenRevocation, Settings
from tasks.events import Event

SETTINGS: Final = {"kind": KIND.name, "issuer": ISSUER, "audience": AUDIENCE, "jwks_file": Path("/keys")}
ADA: Final = {"format": "email", "email": "ada@example.com"}
SOURCE: Final = "https://idp.example.com"


def judged(
    body: object = None, bearer: str | None = None, *, method: str = "POST", keys: KeySet | None = KEYS, **settings: Any
) -> Verdict:
    """What a command about Ada comes to, or one of another *body*."""
    content = body if isinstance(body, bytes) else json.dumps({"sub_id": ADA} if body is None else body).encode()
    headers = {"Authorization": f"Bearer {bearer or token(typ=TYPE)}"}
    door = GlobalTokenRevocation(Settings.model_validate(SETTINGS | settings))
    return door.judge(arrival(content, method=method, headers=headers, keys=keys))


@in_one_test
@pytest.mark.parametrize("member", ["sub_id", "subject"])
@pytest.mark.parametrize("typ", [TYPE, f"application/{TYPE}", TYPE.upper()])
@pytest.mark.parametrize("person", [ADA, {"format": "iss_sub", "iss": ISSUER, "sub": "00u1"}])
def test_a_command_disables_the_person_that_it_names(member: str, typ: str, person: dict[str, str]) -> None:
    """By the name of the draft, or by that of Okta and Auth0 (okta-developer-docs#4797)."""
    verdict = judged({member: person}, token(typ=typ))
    assert (verdict.answer.status, verdict.word) == (204, Word.ACCEPTED)
    [told] = verdict.events
    event = told.parsed(SOURCE, NOW)
    assert isinstance(event, Event)
    assert (event.type, event.time) == ("user.disabled", datetime.fromtimestamp(AT - 60, UTC))
    assert told.data["sub_id"] == person


def test_the_same_command_is_the_same_event_and_another_person_another_one() -> None:
    """Whenever it comes: the id is of the token and the person, the time is the token's."""
    command = token(typ=TYPE)
    [first], [again] = judged(bearer=command).events, judged(bearer=command).events
    [other] = judged({"sub_id": {**ADA, "email": "grace@example.com"}}, command).events
    assert first.body(SOURCE) == again.body(SOURCE)
    assert other.event_id != first.event_id


@in_one_test
@pytest.mark.parametrize(
    "bearer",
    [
        "none",
        "a.b.c",
        token({"iss": "https://other.example.com"}, typ=TYPE),
        token({"aud": ["https://other.example.com"]}, typ=TYPE),
        token({"exp": AT - 61}, typ=TYPE),
        token({"exp": None}, typ=TYPE),
        token({"exp": "soon"}, typ=TYPE),
        token({"exp": True}, typ=TYPE),
        token({"iat": AT + 61}, typ=TYPE),
        token({"iat": None}, typ=TYPE),
        token({"iat": 10**400}, typ=TYPE),
        token({"nbf": AT + 61}, typ=TYPE),
        token(typ="JWT"),
        token(typ=None),
        token(typ=TYPE, key=ECKey.generate_key("P-256", {"kid": "k1"})),
        token(typ=TYPE)[:-4],
        token(typ=TYPE) + "." * 40_000,
    ],
)
def test_who_is_not_proved_commands_nothing(bearer: str) -> None:
    """Neither by another's token, nor by one for others, of another time, or of another kind."""
    verdict = judged(bearer=bearer)
    assert (verdict.answer.status, verdict.word, verdict.events) == (401, Word.UNPROVED, ())


def test_nobody_signs_with_what_everybody_has() -> None:
    """Neither `none`, nor our copy of the public key as a shared secret."""
    unsigned = f"eyJhbGciOiJub25lIn0.{token(typ=TYPE).split('.')[1]}."
    assert judged(bearer=unsigned).word is Word.UNPROVED
    public = OctKey.import_key(json.dumps(KEYS.as_dict(private=False)).encode())
    forged = token(typ=TYPE, key=public, alg="HS256", kid="k1")  # type: ignore[arg-type] # the confusion that is tried
    assert judged(bearer=forged).word is Word.UNPROVED


def test_an_unknown_key_is_looked_for_and_any_other_fault_is_not() -> None:
    """A rotation is followed; a forged token causes no look at the issuer."""
    stranger = ECKey.generate_key("P-256", {"kid": "k2"})
    assert judged(bearer=token(typ=TYPE, key=stranger)).wants_keys
    assert not judged(bearer=token({"aud": "x"}, typ=TYPE)).wants_keys


def test_a_token_of_the_wrong_kind_commands_only_where_the_settings_say_so() -> None:
    """The leniency has a name, is off by default, and is listed."""
    lenient = KIND.settings.model_validate(SETTINGS | {"untyped_tokens": True})
    assert lenient.leniencies == ("untyped_tokens",)
    assert KIND.settings.model_validate(SETTINGS).leniencies == ()
    assert judged(bearer=token(typ="JWT"), untyped_tokens=True).word is Word.ACCEPTED


def test_the_subject_of_the_token_is_asked_for_where_it_is_set() -> None:
    """Okta's is the client id of our application; another application of the same issuer commands nothing here."""
    assert judged(bearer=token({"sub": "0oa1"}, typ=TYPE), token_subject="0oa1").word is Word.ACCEPTED
    assert judged(bearer=token({"sub": "0oa2"}, typ=TYPE), token_subject="0oa1").answer.status == 403


@in_one_test
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        {"sub_id": None},
        {"sub_id": {"format": "email"}},
        {"sub_id": {"format": "nickname", "nickname": "ada"}},
        {"sub_id": ADA, "subject": {**ADA, "email": "grace@example.com"}},
        b'{"sub_id": {"format": "email", "email": "a@b.cc", "email": "c@d.ee"}}',
    ],
)
def test_a_body_that_names_nobody_is_malformed(body: object) -> None:
    """Or two people: neither is guessed."""
    assert (judged(body).answer.status, judged(body).events) == (400, ())


def test_only_a_post_is_a_command() -> None:
    """A look disables nobody."""
    assert judged(method="GET").answer.status == 405


@given(st.binary(max_size=200), st.text(max_size=80))
def test_whatever_strangers_send_is_answered(body: bytes, bearer: str) -> None:
    """Never with an exception, and without a proof never with an event."""
    assert judged(body, f"x{bearer}").events == ()


def test_time_is_the_tokens_and_clocks_may_differ_by_a_minute() -> None:
    """On both sides."""
    assert judged(bearer=token({"iat": AT + 59, "exp": AT - 59}, typ=TYPE)).word is Word.ACCEPTED
    assert NOW - timedelta(seconds=60) == judged().events[0].at
