"""No credential in any line: of what is logged only that is told which cannot be one."""

import json
import logging
import math
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_one_test import in_one_test
from log_lines import MARKER, Shy, line
from provider_calls import session_call
from pydantic import BaseModel, SecretStr

from tasks.call import ProviderCall
from tasks.events.plaintext import SECRET_NAMES as REFUSED_NAMES
from tasks.outcome import Permanent, Settled, State, Transient
from worker.calls import attempts
from worker.observability import redaction
from worker.observability.lines import JsonLines, _members
from worker.observability.redaction import REDACTED, is_harmless, is_secret_name, redacted, text
from worker.settings import Settings
from worker.settings.names import _models

JWS = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
JWE = "eyJhbGciOiJFQ0RILUVTIn0.a2V5.aXY.Y2lwaGVydGV4dA.dGFn"


@pytest.mark.parametrize(
    "said",
    [
        f"Authorization: Bearer {MARKER}",
        f"basic {MARKER}",
        JWS,
        f"got {JWE} from somebody",
        f"amqp://worker:{MARKER}@broker.example/vhost",
        f"postgresql+psycopg://worker:p@{MARKER}@db.example/ledger",
        f"https://{MARKER}@sentry.example/1",
        f"grant_type=client_credentials&client_secret={MARKER}&scope=",
        f'{{"access_token": "{MARKER}"}}',
        f"api-key: {MARKER}",
        f"cookie={MARKER}; x",
        f"Set-Cookie: sid={MARKER}",
        f"Cookie: theme=dark; lang=de; sid={MARKER}; x",
        f"Authorization: Digest username=u, response={MARKER}",
        f"authorization: token {MARKER}",
        f"Proxy-Authorization: Negotiate {MARKER}",
        f"{{'Cookie': 'a=b; sid={MARKER}', 'x': 1}}",
    ],
)
def test_what_looks_like_a_credential_is_blanked_in_any_text(said: str) -> None:
    """RFC 6750 and RFC 7617 headers, JWS, JWE, userinfo of URLs, assignments to secret names."""
    written = line("event.refused", error=None, told=said, deep={"a": [{"b": said}]})
    for secret in (MARKER, JWS, JWE):
        assert secret not in json.dumps(written, ensure_ascii=False)
    assert REDACTED in written["told"]


ASSIGNED = (
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "api_key",
    "api-key",
    "apikey",
    "authorization",
    "cookie",
)


@in_one_test
@pytest.mark.parametrize("name", [*ASSIGNED, *(f"{name}s" for name in ASSIGNED), *map(str.upper, ASSIGNED)])
@pytest.mark.parametrize("between", ["=", ": ", " = ", '": "', "': '"])
def test_what_is_assigned_to_a_secret_name_is_blanked_in_a_text(name: str, between: str) -> None:
    """Every name of the list, in one and in many, in any case."""
    assert text(f"my_{name}{between}{MARKER}") == f"my_{name}{between}{REDACTED}"


# A class of its own each: written out, so that a name that is lost from the list is missed.
SECRET_NAMES = (
    *REFUSED_NAMES,
    *("token", "tokens", "access_token", "secret", "clientSecret", "secrets", "password", "db-password", "passwd"),
    *("passphrase", "apikey", "X-API-Key", "api_key", "cookie", "Set-Cookie", "authorization", "Proxy-Authorization"),
    *("credential", "credentials", "dsn", "jwe", "jwk", "pem", "key", "private_key", "peer_key", "subject-key"),
    *("token_reference_id", "tokenReferenceId", "signing_key", "secret_access_key", "clientState"),
)


@in_one_test
@pytest.mark.parametrize("name", [*SECRET_NAMES, *map(str.upper, SECRET_NAMES)])
def test_every_secret_name_is_known(name: str) -> None:
    """In any case, with dashes, underscores or neither."""
    assert redacted({name: MARKER}) == {name: REDACTED}


def secrets_among(model: type[BaseModel]) -> Iterator[str]:
    """The names of the settings of *model* that are secrets, of all its sections and kinds of provider."""
    for name, field in model.model_fields.items():
        if "SecretStr" in str(field.annotation):
            yield name
        for each in _models(field.annotation):
            yield from secrets_among(each)


@pytest.mark.parametrize("name", sorted({*secrets_among(Settings)} - {"broker_url", "ledger_url"}))
def test_every_secret_among_the_settings_has_a_secret_name(name: str) -> None:
    """Should one ever be told as plain text. Of a URL only what stands before the @ is secret."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["token", "access_token", "X-API-Key", "clientSecret", "Authorization", "refresh-token", "jwe", "password"]
)
def test_members_named_like_a_secret_are_blanked_at_any_depth(name: str) -> None:
    """Whatever their value looks like, whatever holds them."""
    written = line("x", **{name: MARKER}, held=({"deep": [{name: {"er": MARKER}}]},))
    assert written[name] == written["held"][0]["deep"][0][name] == REDACTED


def test_ordinary_words_stay_as_they_are() -> None:
    """Redaction that eats task names, reasons and URLs without a password would blind operators."""
    said = {"task": "finbourne.invalidate_token", "reason": "event.plaintext_token", "url": "https://a.example/b?c=d"}
    assert redacted(said) == said


def test_of_odd_values_nothing_but_their_type_is_told() -> None:
    """Bytes may be a body, an object anything."""
    odd = [MARKER.encode(), Shy(), SecretStr(MARKER), ValueError(MARKER)]
    assert redacted(odd) == ["<bytes>", "<Shy>", "<SecretStr>", "<ValueError>"]


def test_simple_types_keep_their_text() -> None:
    """Times, ids, paths and the members of string enumerations."""
    unit = StrEnum("unit", {"CALL": "call"})
    told = [datetime(2026, 1, 2, tzinfo=UTC), uuid.UUID(int=1), Path("/var/x"), unit("call")]
    assert redacted(told) == [
        "2026-01-02T00:00:00+00:00",
        "00000000-0000-0000-0000-000000000001",
        "/var/x",
        "call",
    ]


def test_a_value_that_holds_itself_ends() -> None:
    """A cycle is cut, and so is what is deeper than anybody reads."""
    cycle: dict[str, Any] = {"n": 1}
    cycle["again"] = [cycle]
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert line("x", cycle=cycle, deep=deep)["cycle"] == {"n": 1, "again": ["…"]}


FORMS = (
    f"Bearer {MARKER}",
    JWS,
    JWE,
    f"https://u:{MARKER}@example.com",
    f"client_secret={MARKER}",
    f"Cookie: a={MARKER}",
)
CALL, SETTLED = session_call("e-1"), Settled(State.CONFIRMED, "204")
TEXTS = ProviderCall.model_fields.keys() - {"attempts", "occurred_at"}  # of which the line tells a number
PLANTED = [
    *((CALL.model_copy(update={name: form}), SETTLED) for name in TEXTS for form in FORMS),
    *((CALL, Settled(State.ACCEPTED, form, {form: form})) for form in FORMS),
    *((CALL, Permanent(form, {"told": form})) for form in FORMS),
    *((CALL, Transient(form, 5.0, {"told": form})) for form in FORMS),
]


@in_one_test
@pytest.mark.parametrize(("call", "outcome"), PLANTED)
def test_no_secret_in_any_member_of_an_attempt_is_told(
    call: ProviderCall, outcome: Settled | Transient | Permanent, caplog: pytest.LogCaptureFixture
) -> None:
    """The line of an attempt is written for each call, so it takes a short way, which looks as closely."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "worker.calls.attempts"):
        attempts.log(call, outcome)
    [record] = caplog.records
    written = JsonLines().format(record)
    for secret in (MARKER, JWS, JWE):
        assert secret not in written


FLAT = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(FORMS)),
    *(st.datetimes(), st.uuids(), st.sampled_from(State), st.text(st.sampled_from("eyJ.a=: "), max_size=8)),
)
NAMES = st.sampled_from(["reason", "timestamp", "event", "level", "Key", "refresh_token"]) | st.text(max_size=8)


@given(st.dictionaries(NAMES | st.sampled_from(FORMS), FLAT, max_size=6), st.sampled_from(["x.y", *FORMS]))
def test_what_is_proved_harmless_is_written_as_if_it_were_redacted(members: dict[str, Any], event: str) -> None:
    """The short way writes the same bytes, and in the same order."""
    record = logging.LogRecord("worker.calls.runtime", logging.INFO, "file.py", 1, event, (), None)
    vars(record).update({name: value for name, value in members.items() if name not in vars(record)})
    assert JsonLines().format(record) == json.dumps(redacted(_members(record)), allow_nan=False)


PIECES = [
    "token",
    "Secret",
    "api-key",
    "Cookie",
    "authorization",
    "bearer",
    "eyJ",
    "://",
    "@",
    ":",
    "/",
    "=",
    " ",
    "a.b",
]


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_no_pattern_would_blank_anything_in_a_harmless_text(value: str) -> None:
    """Whatever the pieces, the short way passes nothing that the long way hides."""
    if redaction._is_harmless_text(value):
        patterns = redaction._CREDENTIAL, redaction._ASSIGNED, redaction._HEADER
        assert not any(pattern.search(value) for pattern in patterns)


def test_the_lines_of_each_call_and_event_take_the_short_way() -> None:
    """Else they cost twice as much, unnoticed."""
    members = {"event_id": "a-1", "attempt": 1, "reason": None, "duration_ms": 51.2, "timestamp": datetime.now(UTC)}
    assert is_harmless(members)
    assert is_harmless(members | {"source": "urn:example:session-timeout-job"})
    assert is_harmless(members | {"source": "https://idp.example.com/sessions"})
    for name, value in (("reason", JWS), ("key", "x"), ("attempt", 2**63), ("duration_ms", math.nan), ("x", b"y")):
        assert not is_harmless(members | {name: value})
