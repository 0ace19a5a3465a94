"""Whom an event names, by which hashes the ledger finds it, and by which it decides that two mean the same."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from tasks.call import Lane, ProviderCall, Target
from tasks.events import Event, InvalidEvent, parse_event
from tasks.providers import genesys
from tasks.subject_index import SubjectIndex, masked_subject

NOW: Final = datetime(2026, 11, 21, 1, 20, tzinfo=UTC)
KEY: Final = b"k" * 32
INDEX: Final = SubjectIndex(KEY)
ADA: Final = {"format": "email", "email": "ada@example.com"}
BOB: Final = {"format": "email", "email": "bob@example.com"}
ISSUED: Final = {"format": "iss_sub", "iss": "https://one.example/", "sub": "42"}
OPAQUE: Final = {"format": "opaque", "id": "42"}
UUID: Final = "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77"


def event(sub_id: dict[str, Any] | None, **attributes: Any) -> Event:
    """An event about *sub_id*."""
    session = {"provider": "wibmo", "credential": {"token_reference_id": "r-1"}}
    data = {"sessions": [session], **({"sub_id": sub_id} if sub_id else {}), **attributes.pop("data", {})}
    document = {"specversion": "1.0", "id": "e-1", "source": "urn:test", "type": "session.ended", "data": data}
    parsed = parse_event(json.dumps(document | {"time": "2026-11-21T01:15:30Z"} | attributes).encode(), now=NOW)
    assert not isinstance(parsed, InvalidEvent), parsed
    return parsed


def aliases(*names: dict[str, Any]) -> dict[str, Any]:
    """One subject by several names."""
    return {"format": "aliases", "identifiers": list(names)}


def parts(**members: dict[str, Any]) -> dict[str, Any]:
    """A complex subject."""
    return {"format": "complex", **members}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ADA, {**ADA, "email": "ADA@Example.com"}),
        (ADA, aliases(ADA)),
        (aliases(ADA, ISSUED), aliases(ISSUED, ADA, ADA)),
        (ADA, parts(user=ADA)),
        (parts(user=ADA, tenant=OPAQUE), parts(user=ADA, tenant={**OPAQUE, "id": "43"}, device=ISSUED)),
    ],
)
def test_events_whose_every_name_agrees_are_about_one_person(one: dict[str, Any], other: dict[str, Any]) -> None:
    """In any order and form; what is no person's name adds nothing."""
    assert INDEX.person(event(one)) == INDEX.person(event(other)) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ADA, BOB),
        (ADA, aliases(ADA, ISSUED)),
        (aliases(ADA, ISSUED), aliases(ADA, {**ISSUED, "sub": "43"})),
        (ISSUED, {**ISSUED, "iss": "https://two.example/"}),
        (ISSUED, OPAQUE),
        ({**ISSUED, "iss": "a", "sub": "bc"}, {**ISSUED, "iss": "ab", "sub": "c"}),
        ({**OPAQUE, "id": "AbC"}, {**OPAQUE, "id": "aBc"}),
        ({**OPAQUE, "id": "ada@example.com"}, ADA),
        *(
            ({"format": "email", "email": one}, {"format": "email", "email": other})
            for one, other in (
                ("ada@straße.example", "ada@strasse.example"),
                ("ada@xn--strae-oqa.example", "ada@strasse.example"),
                ("weiß@a.example", "weiss@a.example"),
                ("ﬁ@a.example", "fi@a.example"),
                ("a\u200bda@a.example", "ada@a.example"),
            )
        ),
        ({"format": "uri", "uri": "acct:ada@example.com"}, {"format": "account", "uri": "acct:ada@example.com"}),
        (parts(user=ADA, tenant=OPAQUE), parts(user=BOB, tenant=OPAQUE)),
    ],
)
def test_events_of_which_one_name_differs_are_not_known_to_be_about_one_person(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    """The issuer, the format and the case of an id are parts of a name."""
    assert INDEX.person(event(one)) != INDEX.person(event(other))


def test_an_opaque_id_is_its_sources_own() -> None:
    """Two producers number their people alike; an address is the same whoever tells it."""
    assert INDEX.person(event(OPAQUE)) != INDEX.person(event(OPAQUE, source="urn:other"))
    assert INDEX.person(event(ADA)) == INDEX.person(event(ADA, source="urn:other"))


@pytest.mark.parametrize(
    "sub_id",
    [
        None,
        *(parts(**{part: ADA}) for part in ("tenant", "device", "group", "org_unit", "session", "application", "boss")),
    ],
)
def test_what_is_no_person_names_nobody(sub_id: dict[str, Any] | None) -> None:
    """Neither a part of a complex subject other than its user nor the `subject` attribute: they find, no more."""
    told = event(sub_id, subject="ada@example.com")
    assert INDEX.person(told) is None
    assert INDEX.keys(told) == (INDEX.label("ada@example.com"),)
    assert INDEX.label("ada@example.com") != INDEX.lookup("ada@example.com")


def test_every_name_finds_the_event() -> None:
    """Also an account's user id, and what names no person."""
    sub_id = parts(tenant={**OPAQUE, "id": "acme"}, user=ADA)
    data = {"accounts": {"genesys": {"user_id": UUID}}}
    told = event(sub_id, type="user.disabled", data=data, subject="hr/1")
    person = {INDEX.lookup("ada@example.com"), INDEX.lookup(UUID)}
    assert set(INDEX.keys(told)) == person | {INDEX.label("acme"), INDEX.label("hr/1")}
    assert masked_subject(told) == "a…@example.com", "the person first"


def test_a_name_is_looked_for_as_a_persons_and_as_a_label() -> None:
    """An operator does not know which of the two an event made of it."""
    assert set(INDEX.everywhere("x")) == {INDEX.lookup("x"), INDEX.label("x")}


def test_a_name_that_no_text_can_hold_is_looked_up_all_the_same() -> None:
    """A terminal may hand over bytes that are no UTF-8."""
    assert len(set(INDEX.everywhere("a\udcff"))) == 2


def call(**told: Any) -> ProviderCall:
    """A call that hits what is told."""
    known = {"call_id": "c", "source": "urn:test", "event_id": "e", "event_type": "session.ended", "subject": "-"}
    times = {"occurred_at": NOW, "deadline": NOW, "operation": genesys.DELETE_TOKEN, "lane": Lane.URGENT}
    return ProviderCall(**known, **times, **{"provider": "genesys", **told})


@pytest.mark.parametrize(
    ("told", "target"),
    [
        ({"user_id": UUID}, ("genesys", "user", UUID)),
        ({"user_id": UUID.upper()}, ("genesys", "user", UUID)),
        ({"user_id": "Ada"}, ("genesys", "user", "Ada")),
        ({"jwe": "e30.a"}, ("genesys", "token", "e30.a")),
        ({"token_reference_id": "r-1"}, ("genesys", "token", "r-1")),
        ({}, None),
    ],
)
def test_a_call_hits_the_providers_user_or_a_token(told: dict[str, Any], target: Target | None) -> None:
    """A UUID in either case is one user."""
    assert call(**told).target == target


def test_no_two_targets_share_a_hash() -> None:
    """Each part counts, and where it ends."""
    calls = [
        call(user_id="a", provider="p"),
        call(user_id="b", provider="p"),
        call(user_id="a", provider="q"),
        call(token_reference_id="a", provider="p"),
        call(user_id="ruser", provider="p"),
        call(user_id="ruser", provider="puse"),
    ]
    hashes = [INDEX.target(each.target) for each in calls]
    assert len({*hashes, INDEX.lookup("a"), INDEX.label("a")}) == len(calls) + 2
    assert INDEX.target(call().target) is None
    assert SubjectIndex(b"j" * 32).target(calls[0].target) != hashes[0], "and the key"
