"""What an operator sent on its way is known by a passport that nobody else can write."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.events import InvalidEvent, parse_event
from tasks.subject import SubjectIndex
from worker.blast_radius.passport import Passports
from worker.blast_radius.subject import subject_of

INDEX = SubjectIndex(b"subject-key-of-a-test-installation")
PASSPORTS = Passports.of(INDEX)
BODY, TYPE, HEADERS = b'{"id": "1"}', "application/json", {"ce-id": "1", "x-other": 1}


def test_a_passport_is_good_for_the_message_it_was_made_for() -> None:
    """What the broker adds on the way does not matter."""
    passport = PASSPORTS.issue(BODY, TYPE, HEADERS)
    assert PASSPORTS.is_valid(passport, BODY, TYPE, {**HEADERS, "x-death": []})


@pytest.mark.parametrize(
    ("body", "content_type", "headers"),
    [(b'{"id": "2"}', TYPE, HEADERS), (BODY, "text/plain", HEADERS), (BODY, TYPE, {"ce-id": "2"}), (BODY, TYPE, {})],
)
def test_a_copied_passport_is_good_for_no_other_event(body: bytes, content_type: str, headers: dict[str, Any]) -> None:
    """Body, content type and the attributes in headers: all that says what the event is."""
    assert not PASSPORTS.is_valid(PASSPORTS.issue(BODY, TYPE, HEADERS), body, content_type, headers)


@pytest.mark.parametrize("shown", [None, True, 1, "", "true", "é" * 64, "0" * 64, b"0" * 64])
def test_what_a_producer_makes_up_is_no_passport(shown: object) -> None:
    """Of any type a header can have."""
    assert not PASSPORTS.is_valid(shown, BODY, TYPE, HEADERS)


def test_another_installations_passport_is_none() -> None:
    """The key is the installation's own."""
    other = Passports.of(SubjectIndex(b"subject-key-of-another-installation"))
    assert not PASSPORTS.is_valid(other.issue(BODY, TYPE, HEADERS), BODY, TYPE, HEADERS)


def counted(data: dict[str, Any], event_id: str = "e-1", kind: str = "user.disabled") -> str:
    """The hash of whom an event counts for."""
    told = {"specversion": "1.0", "id": event_id, "source": "urn:hr", "type": kind, "data": data}
    event = parse_event(json.dumps(told | {"time": "2026-11-21T01:00:00Z"}).encode(), now=datetime.now(UTC))
    assert not isinstance(event, InvalidEvent)
    return subject_of(event, INDEX).hash


ALICE = {"sub_id": {"format": "email", "email": "alice@example.com"}}


def test_the_same_people_count_once() -> None:
    """Told again in another event, in another order or another case."""
    aliases = [ALICE["sub_id"], {"format": "opaque", "id": "a-1"}]
    one, two = ({"sub_id": {"format": "aliases", "identifiers": each}} for each in (aliases, aliases[::-1]))
    assert counted(one) == counted(two, "e-2")
    assert counted(ALICE) == counted({"sub_id": {"format": "email", "email": "Alice@Example.com"}}, "e-3")


@pytest.mark.parametrize(
    "more",
    [
        {"accounts": {"genesys": {"user_id": "someone-else"}}},
        {"sessions": [{"provider": "wibmo", "credential": {"token_reference_id": "reference-1"}}]},
    ],
)
def test_one_name_hides_nobody(more: dict[str, Any]) -> None:
    """A source that calls everybody alice hits no more people: what decides who is hit counts, not the name alone."""
    assert counted(ALICE | more) != counted(ALICE)


def test_sessions_of_nobody_count_one_by_one() -> None:
    """A session.ended need not say whose the session was."""
    nobody = {"sessions": [{"provider": "finbourne", "credential": {"jwe": "a.b.c.d.e"}}]}
    assert counted(nobody, "e-1", "session.ended") != counted(nobody, "e-2", "session.ended")
