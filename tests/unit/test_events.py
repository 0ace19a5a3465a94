"""Reading events: content modes, strict JSON, instants, traces and subjects."""

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from event_examples import (
    CONTRACTS,
    MARKER,
    NOW,
    STRUCTURED,
    binary,
    ended,
    event_document,
    example,
    fault,
    parts,
    refused,
)
from pydantic import ValidationError

from tasks.events import InvalidEvent, RejectionCode, parse_event
from tasks.events.content_mode import MAX_BODY
from tasks.events.model import Account, JweCredential, SessionEnded, TokenReferenceCredential, UserDisabled
from tasks.events.subjects import Complex, IssSub


def test_the_published_session_ended_is_read() -> None:
    """Its three sessions arrive typed, in order, with instants in UTC, and without credentials in their repr."""
    event = ended()
    assert isinstance(event, SessionEnded)
    assert "eyJ" not in repr(event)
    assert [session.provider for session in event.data.sessions] == ["genesys", "finbourne", "wibmo"]
    assert isinstance(event.data.sessions[0].credential, JweCredential)
    assert isinstance(event.data.sessions[2].credential, TokenReferenceCredential)
    assert event.data.sessions[0].expires_at == datetime(2026, 11, 21, 9, 15, 30, tzinfo=UTC)
    assert event.time == datetime(2026, 11, 21, 1, 15, 30, 250000, tzinfo=UTC)


def test_the_published_user_disabled_is_read() -> None:
    """Subject, accounts and providers arrive typed."""
    event = parse_event((CONTRACTS / "user.disabled.json").read_bytes(), now=NOW, content_type=STRUCTURED)
    assert isinstance(event, UserDisabled)
    assert isinstance(event.data.sub_id, IssSub)
    assert event.data.accounts == {"genesys": Account(user_id="4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77")}
    assert event.data.providers == ("genesys", "wibmo")


@pytest.mark.parametrize(
    "content_type",
    [None, STRUCTURED, "application/json", f'{STRUCTURED}; charset="UTF-8"', "Application/JSON;charset=utf-8;a=b"],
)
def test_structured_json_is_read_under_each_of_its_content_types(content_type: str | None) -> None:
    """Media types are case-insensitive and may carry parameters, UTF-8 being the one charset."""
    body = (CONTRACTS / "user.disabled.json").read_bytes()
    assert isinstance(parse_event(body, now=NOW, content_type=content_type), UserDisabled)


@pytest.mark.parametrize(
    "content_type",
    [f"{STRUCTURED}; charset=latin-1", "application/cloudevents-batch+json", "text/plain", "application/cloudevents"],
)
def test_another_content_type_is_no_cloudevent(content_type: str) -> None:
    """Batches, other formats and other charsets are refused, CloudEvents headers or not."""
    body, _ = binary("ce-")
    headers = {"ce-id": "1"} if "cloudevents" in content_type else {}
    assert fault(parse_event(body, now=NOW, content_type=content_type, headers=headers)) == ("not_cloudevents", "")


@pytest.mark.parametrize("prefix", ["ce-", "cloudEvents_", "cloudEvents:", "CE-", "cloudevents:"])
@pytest.mark.parametrize("kind", ["session.ended", "user.disabled"])
def test_binary_mode_reads_the_same_event(prefix: str, kind: str) -> None:
    """The content type becomes datacontenttype; the rest is as in structured mode."""
    body, headers = binary(prefix, kind)
    event = parse_event(body, now=NOW, content_type="application/json", headers={"x": 1, **headers})
    assert event == parse_event(json.dumps(example(kind)).encode(), now=NOW)


def test_binary_mode_takes_amqp_timestamps_as_utc() -> None:
    """The AMQP client reads timestamps as naive datetimes in UTC."""
    body, headers = binary("cloudEvents_")
    headers["cloudEvents_time"] = datetime(2026, 11, 21, 1, 15, 30)  # noqa: DTZ001 (what the client delivers)
    headers["cloudEvents_expirytime"] = datetime(2026, 11, 21, 4, tzinfo=timezone(timedelta(hours=1)))
    event = parse_event(body, now=NOW, headers=headers)
    assert isinstance(event, UserDisabled)
    assert event.time == datetime(2026, 11, 21, 1, 15, 30, tzinfo=UTC)
    assert event.expirytime == datetime(2026, 11, 21, 3, tzinfo=UTC)


BINARY_FAULTS: list[tuple[dict[str, object], str, str]] = [
    ({"cloudEvents:id": MARKER}, "not_cloudevents", "/id"),
    ({"ce-datacontenttype": "application/json; charset=utf-8"}, "not_cloudevents", "/datacontenttype"),
    ({"ce-id": b"x"}, "not_cloudevents", "/id"),
    ({"ce-id": 5}, "not_cloudevents", "/id"),
    ({"ce-id": NOW}, "not_cloudevents", "/id"),
    ({"ce-subject": f"{MARKER}\ud800"}, "not_cloudevents", "/subject"),
    ({"ce-data": "{}"}, "not_cloudevents", "/data"),
    ({"ce-type": "user.promoted"}, "unsupported_type", "/type"),
    ({"ce-time": "2026-11-21T01:15:30"}, "invalid_time", "/time"),
    ({"ce-note": f"Bearer {MARKER}"}, "plaintext_token", "/note"),
    ({"ce-note": "é" * (MAX_BODY // 2)}, "too_large", ""),
]


@pytest.mark.parametrize(("headers", "code", "pointer"), BINARY_FAULTS)
def test_binary_attributes_obey_the_same_rules(headers: dict[str, object], code: str, pointer: str) -> None:
    """Conflicting spellings, wrong types and values that are no attributes are refused by name."""
    body, attributes = binary("ce-")
    event = parse_event(body, now=NOW, content_type="application/json", headers={**attributes, **headers})
    assert fault(event) == (code, pointer)


def test_binary_mode_counts_the_event_around_the_data_as_a_level() -> None:
    """The 32 levels are those of the structured form; headers still tell whose the refused body was."""
    body, headers = binary("ce-")
    deep, deeper = (json.dumps(json.loads(body) | {"x": nested(levels)}).encode() for levels in (30, 31))
    assert isinstance(parse_event(deep, now=NOW, headers=headers), UserDisabled)
    refusal = refused(parse_event(deeper, now=NOW, headers=headers))
    assert refusal.code is RejectionCode.MALFORMED_JSON
    assert (refusal.source, refusal.event_id) == (headers["ce-source"], headers["ce-id"])


def nested(levels: int) -> list[Any]:
    """Return that many lists, one in another."""
    return [nested(levels - 1)] if levels > 1 else []


def test_a_body_of_64_kib_is_read_and_one_byte_more_is_not() -> None:
    """The cap comes before parsing; what was not read is not stored."""
    body = (CONTRACTS / "user.disabled.json").read_bytes().ljust(MAX_BODY)
    assert isinstance(parse_event(body, now=NOW), UserDisabled)
    assert parse_event(body + b" ", now=NOW) == InvalidEvent(RejectionCode.TOO_LARGE, "", body_storable=False)


def test_32_levels_are_read_and_33_are_not() -> None:
    """The event itself is the first level."""
    assert isinstance(ended(lambda event: event.update(x=nested(31))), SessionEnded)
    assert fault(ended(lambda event: event.update(x=nested(32)))) == ("malformed_json", "")


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize(("levels", "code"), [(10_000, "malformed_json"), (100_000, "too_large")])
def test_very_deep_input_is_refused_without_a_crash(opening: bytes, levels: int, code: str) -> None:
    """The parser's recursion limit is an answer, not an exception."""
    assert fault(parse_event(opening * levels, now=NOW)) == (code, "")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-21T02:05:00Z", NOW + timedelta(seconds=300)),
        ("2026-11-21t03:00:00.1234567+01:00", NOW.replace(microsecond=123456)),
        ("2026-06-30T23:59:60.9z", datetime(2026, 7, 1, tzinfo=UTC)),
    ],
)
def test_time_is_read_as_rfc_3339_writes_it(text: str, instant: datetime) -> None:
    """Offsets are applied, digits beyond microseconds dropped, a leap second is the midnight that follows."""
    event_time = ended(lambda document: document.update(time=text)).time
    assert (event_time, event_time.tzinfo) == (instant, UTC)


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("text", ["", f"ff-{TRACE}", f"00-{TRACE}-more", f"00-{0:032x}-00f067aa0ba902b7-01"])
def test_an_invalid_traceparent_is_ignored(text: str) -> None:
    """Tracing never stops a revocation, and what was ignored is not written back."""
    event = ended(lambda document: document.update(traceparent=text))
    assert event.traceparent is None
    assert "traceparent" not in event_document(event)


@pytest.mark.parametrize("text", [f"00-{TRACE}", f"cc-{TRACE}-more"])
def test_a_valid_traceparent_is_kept(text: str) -> None:
    """Later versions may append fields."""
    assert ended(lambda document: document.update(traceparent=text)).traceparent == text


def test_a_complex_subject_gives_its_parts() -> None:
    """Each part is a subject of its own."""
    event = ended(lambda document: document["data"].update(sub_id=parts(document["data"]["sub_id"])))
    assert isinstance(event.data.sub_id, Complex)
    assert isinstance(event.data.sub_id.members["user"], IssSub)


def test_a_model_built_by_hand_does_not_print_what_it_refuses() -> None:
    """The validator's own error message names the field, not its value."""
    with pytest.raises(ValidationError) as caught:
        JweCredential(jwe=f"{MARKER} ")
    assert MARKER not in str(caught.value)


@pytest.mark.parametrize("unit", ["eyJ.", "eyJ", "a.eyJa", "bearer ", "bearer", ".eyJ.a/", "-", "[", "{"])
def test_hostile_text_takes_no_longer_than_its_length(unit: str) -> None:
    """60 KiB made for backtracking are judged in well under a second."""
    text = unit * (60_000 // len(unit))
    started = time.process_time()
    ended(lambda document: document.update(note=text, source=text))
    parse_event(text.encode(), now=NOW, content_type=text)
    assert time.process_time() - started < 1
