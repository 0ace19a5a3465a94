"""What an event of a Security Event Token means here: whom it is about, when it was, and why."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from door_arrivals import AT, ISSUER, NOW
from hypothesis import given
from hypothesis import strategies as st
from in_one_test import in_one_test
from pushed_tokens import (
    ADA,
    CAEP,
    DISABLED,
    GRACE,
    LENIENCIES,
    REVOKED,
    RISC,
    SCIM,
    SESSION,
    SOURCE,
    SSF,
    TENANT,
    error_of,
    judged,
    pushed,
    signed,
)

from tasks.doors import Word
from tasks.doors.security_event_tokens import TYPE
from tasks.events import Event


@in_one_test
@pytest.mark.parametrize("typ", [TYPE, f"application/{TYPE}", TYPE.upper()])
@pytest.mark.parametrize(
    ("uri", "becomes", "reason"),
    [
        (REVOKED, "user.disabled", "session-revoked"),
        (DISABLED, "user.disabled", "account-disabled"),
        (f"{RISC}account-purged", "user.disabled", "account-purged"),
        (f"{RISC}sessions-revoked", "user.disabled", "sessions-revoked"),
        (f"{RISC}account-enabled", "user.enabled", "account-enabled"),
        (f"{SCIM}prov:deactivate", "user.disabled", "prov:deactivate"),
        (f"{SCIM}prov:delete", "user.disabled", "prov:delete"),
        ("urn:ietf:params:SCIM:event:prov:activate", "user.enabled", "prov:activate"),
    ],
)
def test_an_event_about_a_whole_user_is_one_of_ours(uri: str, becomes: str, reason: str, typ: str) -> None:
    """Under its own id; the type of the token may be spelt in both ways (authkestra#309)."""
    verdict = judged(uri, claims={"typ": typ, "txn": "t1"})
    assert (verdict.answer.status, verdict.answer.body, verdict.word) == (202, b"", Word.ACCEPTED)
    [told] = verdict.events
    event = told.parsed(SOURCE, NOW)
    assert isinstance(event, Event)
    assert (event.type, event.id, event.correlationid) == (becomes, "j1", "t1")
    assert told.data == {"sub_id": ADA, "reason": reason}


@in_one_test
@pytest.mark.parametrize(
    "uri",
    [f"{SSF}stream-updated", f"{CAEP}credential-change", f"{SCIM}prov:put:full", "urn:x", ""],
)
def test_an_event_that_means_nothing_here_is_taken(uri: str) -> None:
    """Whatever its subject and payload are: the stream goes on."""
    verdict = judged(uri, {"state": "x"}, {"sub_id": {"format": "opaque", "id": "stream"}})
    assert (verdict.answer.status, verdict.word, verdict.events) == (202, Word.NOTHING, ())


@in_one_test
@pytest.mark.parametrize(
    ("uri", "subject"),
    [
        (REVOKED, SESSION),
        (REVOKED, {"format": "jwt_id", "iss": ISSUER, "jti": "j9"}),
        (REVOKED, {"format": "complex", "user": ADA, "session": SESSION}),
        (REVOKED, {"format": "complex", "session": SESSION}),
        (DISABLED, {"format": "complex", "tenant": TENANT}),
        (f"{SCIM}prov:delete", {"format": "scim", "uri": "/Groups/1", "externalId": "00u1"}),
    ],
)
def test_one_session_disables_nobody(uri: str, subject: dict[str, Any]) -> None:
    """Nor does what is no person: it is taken, and the word says that nobody was found."""
    verdict = judged(uri, claims={"sub_id": subject})
    assert (verdict.answer.status, verdict.word, verdict.events) == (202, Word.UNKNOWN, ())


@in_one_test
@pytest.mark.parametrize(
    ("subject", "session", "issuer"),
    [
        (SESSION, "s1", ISSUER),
        ({"format": "complex", "session": SESSION}, "s1", ISSUER),
        ({"format": "complex", "user": ADA, "session": SESSION}, "s1", ISSUER),
        ({"format": "complex", "session": {"format": "iss_sub", "iss": "https://x", "sub": "s1"}}, "s1", "https://x"),
        ({"format": "jwt_id", "iss": "https://x", "jti": "j9"}, "j9", "https://x"),
        ({"format": "saml_assertion_id", "issuer": "https://x", "assertion_id": "_8"}, "_8", "https://x"),
    ],
)
def test_one_session_ends_by_its_id_where_the_session_registry_is_used(
    subject: dict[str, Any], session: str, issuer: str
) -> None:
    """By whoever's word its id has a meaning; of an account that is disabled nothing is narrowed to a session."""
    claims = {"sub_id": subject}
    [event] = judged(REVOKED, claims=claims, ends_sessions=True).events
    whose = {"sub_id": ADA} if "user" in subject else {}
    named = {"session_ids": [session], "session_issuer": issuer, "reason": "session-revoked"}
    assert (event.type, event.data) == ("session.ended", named | whose)
    assert isinstance(event.parsed(ISSUER, NOW), Event)
    assert judged(DISABLED, claims=claims, ends_sessions=True).events == judged(DISABLED, claims=claims).events


@in_one_test
@pytest.mark.parametrize(
    ("uri", "subject", "found"),
    [
        (REVOKED, {"format": "complex", "user": ADA}, ADA),
        (REVOKED, {"format": "complex", "user": SESSION, "device": {"format": "ip-addresses"}}, SESSION),
        (DISABLED, {"format": "complex", "user": ADA, "session": SESSION}, ADA),
        (DISABLED, SESSION, SESSION),
        (
            REVOKED,
            {"format": "complex", "user": ADA, "device": SESSION, "tenant": TENANT},
            {"format": "complex", "user": ADA, "tenant": TENANT},
        ),
    ],
)
def test_of_a_complex_subject_the_user_is_meant(uri: str, subject: dict[str, Any], found: dict[str, Any]) -> None:
    """With the tenant, by which a source may be bound; alone it is found at the providers."""
    assert judged(uri, claims={"sub_id": subject}).events[0].data["sub_id"] == found


def test_a_scim_user_has_all_names_that_were_given() -> None:
    """The directory's own as a subject of its issuer, where that is set (RFC 9967, section 2.1)."""
    uri = {"format": "uri", "uri": "/Users/2b2f"}
    scim = {"sub_id": {"format": "scim", "uri": "/Users/2b2f", "externalId": "00u1"}}
    issued = judged(f"{SCIM}prov:delete", claims=scim, subject_issuer=ISSUER).events[0].data["sub_id"]
    assert issued == {"format": "aliases", "identifiers": [ADA, uri]}
    opaque = judged(f"{SCIM}prov:delete", claims=scim).events[0].data["sub_id"]
    assert opaque["identifiers"] == [{"format": "opaque", "id": "00u1"}, uri]
    alone = judged(f"{SCIM}prov:delete", claims={"sub_id": {"format": "scim", "uri": "Users/2b2f"}})
    assert alone.events[0].data["sub_id"] == {"format": "uri", "uri": "Users/2b2f"}


@in_one_test
@pytest.mark.parametrize(
    ("subject", "found"),
    [
        (ADA, ADA),
        ({"subject_type": "iss-sub", "iss": ISSUER, "sub": "00u1"}, ADA),
        ({"user": {"subject_type": "iss_sub", "iss": ISSUER, "sub": "00u1"}, "device": SESSION}, ADA),
    ],
)
def test_the_subject_of_a_draft_is_read_where_the_settings_say_so(subject: object, found: object) -> None:
    """It stands inside the event; beside another one that differs nobody is guessed."""
    assert error_of(judged(REVOKED, {"subject": subject}, {"sub_id": None})) == "invalid_request"
    verdict = judged(REVOKED, {"subject": subject}, {"sub_id": None}, draft_subjects=True)
    assert verdict.events[0].data["sub_id"] == found
    assert judged(REVOKED, {"subject": subject}, {"sub_id": GRACE}).events[0].data["sub_id"] == GRACE
    assert error_of(judged(REVOKED, {"subject": subject}, {"sub_id": GRACE}, draft_subjects=True)) == "invalid_request"


@in_one_test
@pytest.mark.parametrize(
    ("payload", "claims", "at"),
    [
        ({"event_timestamp": AT - 30}, {"toe": AT - 40}, 30),
        ({"event_timestamp": AT - 29.5}, {}, 29.5),
        ({"event_timestamp": (AT - 20) * 1000 + 250}, {}, 19.75),
        ({}, {"toe": AT - 40}, 40),
        ({}, {}, 60),
    ],
)
def test_time_is_the_events_then_the_tokens(payload: dict[str, Any], claims: dict[str, Any], at: float) -> None:
    """In seconds; what counts milliseconds is read by a leniency."""
    assert judged(payload=payload, claims=claims, millisecond_times=True).events[0].at == NOW - timedelta(seconds=at)


@in_one_test
@pytest.mark.parametrize(
    ("given_reason", "kept"),
    [("hijacking", "hijacking"), ("disabled-by-bruteforce", "disabled-by-bruteforce"), ("Ada left.", None), (7, None)],
)
def test_a_short_reason_of_any_word_stays(given_reason: object, kept: str | None) -> None:
    """Keycloak's words are not the standard's; a text of a person is not passed on."""
    told = judged(payload={"reason": given_reason, "initiating_entity": "admin", "reason_admin": {"en": "x"}}).events[0]
    assert told.data == {"sub_id": ADA, "reason": kept or "account-disabled", "initiating_entity": "admin"}


def test_an_event_without_details_is_whole() -> None:
    """A logout of which the transmitter knows no more than whom (keycloak#51571)."""
    assert judged(REVOKED, {}).events[0].at == datetime.fromtimestamp(AT - 60, UTC)


def test_a_revocation_that_the_transmitter_does_not_tell_is_not_made_up() -> None:
    """Keycloak's `/revoke` sends no token (keycloak#51376); one about a credential ends no session either."""
    assert judged(f"{CAEP}credential-change", {"change_type": "revoke"}).events == ()


def test_several_events_of_one_token_have_names_of_their_own() -> None:
    """RFC 9967 allows several about the same change."""
    events: dict[str, object] = {f"{SCIM}prov:deactivate": {}, f"{SCIM}feed:remove": {}, f"{SCIM}prov:delete": {}}
    assert [each.event_id for each in pushed(signed(events)).events] == ["j1:0", "j1:1"]


SHAPES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["format", "user", "session", "uri", "externalId", "id"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(SHAPES, SHAPES, SHAPES)
def test_whatever_a_transmitter_signs_is_answered(subject: Any, stamp: Any, toe: Any) -> None:
    """Never with an exception."""
    claims = {"sub_id": subject, "toe": toe}
    verdict = judged(REVOKED, {"event_timestamp": stamp, "subject": subject}, claims, **LENIENCIES)
    assert verdict.answer.status in {202, 400}
