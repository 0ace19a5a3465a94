"""Planning: every cell of the event × provider table, and nothing guessed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.call import Lane, Operation
from tasks.events import Event, InvalidEvent, parse_event
from tasks.outcome import Reason, State
from tasks.plan import Catalogue, Instance, Plan, RefusedUnit, plan_revocations
from tasks.providers import KINDS, finbourne, genesys, wibmo
from tasks.sealing import generate_key, seal
from tasks.subject_index import SubjectIndex

NOW = datetime(2026, 11, 21, 1, 20, tzinfo=UTC)
USER = "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77"
OTHER = "0a2f8f0e-1111-4b7e-9b0c-2a1f0d6c9e77"
JWE, OTHER_JWE = (seal(token, "genesys", generate_key("k-1")) for token in ("token-1", "token-2"))
REFERENCE = "ref-1"
ISSUER = "https://idp.example.com/"
ALICE = {"format": "email", "email": "alice@example.com"}

CATALOGUE = Catalogue(
    {
        "genesys": Instance("genesys", KINDS["genesys"], ISSUER),
        "genesys-eu": Instance("genesys-eu", KINDS["genesys"]),
        "finbourne": Instance("finbourne", KINDS["finbourne"]),
        "wibmo": Instance("wibmo", KINDS["wibmo"]),
    },
    {Lane.ROUTINE: timedelta(hours=24), Lane.URGENT: timedelta(hours=72)},
    SubjectIndex(b"k" * 32),
)


def session(provider: str, **credential: str) -> dict[str, Any]:
    """A session as an event lists it."""
    return {"provider": provider, "credential": credential}


def event(kind: str, data: dict[str, Any], **attributes: Any) -> Event:
    """The event that this document parses to."""
    document = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "urn:test",
        "type": kind,
        "time": "2026-11-21T01:15:30Z",
        "data": data,
        **attributes,
    }
    parsed = parse_event(json_bytes(document), now=NOW)
    assert not isinstance(parsed, InvalidEvent), parsed
    return parsed


def json_bytes(document: dict[str, Any]) -> bytes:
    """The document as it travels."""
    return json.dumps(document).encode()


def disabled(**data: Any) -> Plan:
    """The plan of a disabled user's event."""
    return plan_revocations(event("user.disabled", {"sub_id": ALICE, **data}), CATALOGUE)


def enabled(**data: Any) -> Plan:
    """The plan of an enabled user's event."""
    return plan_revocations(event("user.enabled", {"sub_id": ALICE, **data}), CATALOGUE)


def ended(*sessions: dict[str, Any], **attributes: Any) -> Plan:
    """The plan of an event that ends these sessions."""
    return plan_revocations(event("session.ended", {"sessions": list(sessions)}, **attributes), CATALOGUE)


def operations(plan: Plan) -> list[tuple[str, Operation]]:
    """Which provider is asked for what."""
    return [(call.provider, call.operation) for call in plan.calls]


@pytest.mark.parametrize(
    ("listed", "operation"),
    [
        (session("genesys", jwe=JWE), genesys.DELETE_TOKENS_ME),
        (session("genesys-eu", jwe=JWE), genesys.DELETE_TOKENS_ME),
        (session("finbourne", jwe=JWE), finbourne.INVALIDATE_TOKEN),
        (session("wibmo", token_reference_id=REFERENCE), wibmo.INVALIDATE_TOKEN),
    ],
)
def test_an_ended_session_becomes_one_routine_call(listed: dict[str, Any], operation: Operation) -> None:
    """Each kind has one operation for a session, and the lane is routine."""
    plan = ended(listed)
    assert operations(plan) == [(listed["provider"], operation)]
    assert plan.calls[0].lane is Lane.ROUTINE
    assert (plan.units, plan.refused) == ((), ())


@pytest.mark.parametrize(
    "listed",
    [
        session("genesys", token_reference_id=REFERENCE),
        session("wibmo", jwe=JWE),
        session("finbourne", ref="vault:tokens/1"),
    ],
)
def test_a_credential_its_provider_cannot_use_is_unresolvable(listed: dict[str, Any]) -> None:
    """A reference where a token is needed, a token where a reference is, a resolver nobody configured: dead letters."""
    assert ended(listed).refused == (RefusedUnit(listed["provider"], Reason.ROUTE_UNRESOLVABLE),)


def test_an_unknown_provider_is_refused_and_its_siblings_are_not() -> None:
    """A bad unit never blocks the others."""
    plan = ended(session("nobody", jwe=JWE), session("finbourne", jwe=JWE))
    assert plan.refused == (RefusedUnit("nobody", Reason.ROUTE_UNKNOWN_PROVIDER),)
    assert operations(plan) == [("finbourne", finbourne.INVALIDATE_TOKEN)]


def test_a_session_listed_twice_is_called_once() -> None:
    """The same unit has the same identity."""
    assert len(ended(session("finbourne", jwe=JWE), session("finbourne", jwe=JWE)).calls) == 1


def test_an_ended_session_never_becomes_a_user_wide_call() -> None:
    """Even where the event tells the user's id at the provider."""
    data = {"sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": USER}, "sessions": [session("genesys", jwe=JWE)]}
    plan = plan_revocations(event("session.ended", data), CATALOGUE)
    assert operations(plan) == [("genesys", genesys.DELETE_TOKENS_ME)]


def test_a_disabled_user_with_an_account_is_one_urgent_call_that_covers_the_sessions() -> None:
    """DeleteToken kills every token of the user, so the listed sessions need no call of their own."""
    plan = disabled(accounts={"genesys": {"user_id": USER}}, sessions=[session("genesys", jwe=JWE)])
    assert operations(plan) == [("genesys", genesys.DELETE_TOKEN)]
    [call] = plan.calls
    assert (call.lane, call.user_id, call.jwe) == (Lane.URGENT, USER, None)
    assert "genesys" not in {unit.provider for unit in plan.units}, "nothing is known of the session yet"
    assert [(each.operation, each.lane, each.jwe) for each in call.covers] == [
        (genesys.DELETE_TOKENS_ME, Lane.URGENT, JWE)
    ]


def test_a_covered_call_is_the_one_that_would_be_made_by_itself() -> None:
    """The same identity, target and end: only the way it is settled differs. Another instance's sessions are not."""
    listed = [
        {**session("genesys", jwe=JWE), "expires_at": "2026-11-22T00:00:00Z"},
        session("genesys", jwe=JWE),
        session("genesys-eu", jwe=JWE),
        session("finbourne", jwe=JWE),
    ]
    alone, together = disabled(sessions=listed), disabled(accounts={"genesys": {"user_id": USER}}, sessions=listed)
    [covering] = [call for call in together.calls if call.covers]
    others = [call for call in together.calls if call is not covering]
    found = {call.call_id: call.model_copy(update={"subject_keys": ()}) for call in (*covering.covers, *others)}
    assert found == {call.call_id: call.model_copy(update={"subject_keys": ()}) for call in alone.calls}
    assert {call.provider for call in covering.covers} == {"genesys"}


@pytest.mark.parametrize("credential", [{"token_reference_id": REFERENCE}, {"ref": "vault:tokens/1"}])
def test_a_covered_session_needs_no_usable_credential(credential: dict[str, str]) -> None:
    """DeleteToken kills it all the same; by itself it would have nothing to go by."""
    plan = disabled(accounts={"genesys": {"user_id": USER}}, sessions=[session("genesys", **credential)])
    [covered] = plan.calls[0].covers
    assert (covered.jwe, covered.token_reference_id) == (None, credential.get("token_reference_id"))
    assert plan.refused == ()


def test_a_disabled_user_without_an_id_is_called_per_listed_session() -> None:
    """At Genesys with the session's own token, as at the others."""
    plan = disabled(
        sessions=[
            session("genesys", jwe=JWE),
            session("finbourne", jwe=JWE),
            session("wibmo", token_reference_id=REFERENCE),
        ]
    )
    assert sorted(operations(plan)) == [
        ("finbourne", finbourne.INVALIDATE_TOKEN),
        ("genesys", genesys.DELETE_TOKENS_ME),
        ("wibmo", wibmo.INVALIDATE_TOKEN),
    ]


@pytest.mark.parametrize("form", ["plain", "alias"])
def test_the_sub_of_the_instances_own_issuer_is_its_user_id(form: str) -> None:
    """Whether it is the subject itself or one of its aliases; another instance's issuer says nothing."""
    name = {"format": "iss_sub", "iss": ISSUER, "sub": USER}
    sub_id = name if form == "plain" else {"format": "aliases", "identifiers": [{"format": "opaque", "id": "x"}, name]}
    plan = disabled(sub_id=sub_id)
    assert [(call.provider, call.user_id) for call in plan.calls] == [("genesys", USER)]


def test_a_user_id_is_never_guessed() -> None:
    """Another issuer's sub, an e-mail, a part of a complex subject, two different subs: none is an id here."""
    own = {"format": "iss_sub", "iss": ISSUER, "sub": USER}
    for sub_id in (
        {"format": "iss_sub", "iss": "https://other.example/", "sub": USER},
        {"format": "email", "email": f"{USER}@example.com"},
        {"format": "complex", "user": own},
        {"format": "aliases", "identifiers": [own, {**own, "sub": OTHER}]},
    ):
        assert disabled(sub_id=sub_id).calls == ()


def test_nothing_known_is_recorded_for_every_provider_the_event_does_not_name() -> None:
    """Never silent: one unit for each instance."""
    plan = disabled()
    assert {(unit.provider, unit.state) for unit in plan.units} == {
        (name, State.NO_SESSION_KNOWN) for name in CATALOGUE.instances
    }
    assert plan.refused == ()


def test_nothing_known_at_a_named_provider_is_a_dead_letter() -> None:
    """The producer says that the user has something there, and nobody can tell what."""
    plan = disabled(providers=["wibmo", "nobody"], accounts={"finbourne": {"user_id": "f-1"}})
    assert set(plan.refused) == {
        RefusedUnit("wibmo", Reason.ROUTE_UNRESOLVABLE),
        RefusedUnit("finbourne", Reason.ROUTE_UNRESOLVABLE),
        RefusedUnit("nobody", Reason.ROUTE_UNKNOWN_PROVIDER),
    }


@pytest.mark.parametrize("user_id", ["me", "timeout", "..", "alice"])
def test_a_user_id_that_is_no_uuid_is_refused_and_the_sessions_are_called(user_id: str) -> None:
    """`me` would revoke the worker's own token; what can still be revoked is."""
    plan = disabled(accounts={"genesys": {"user_id": user_id}}, sessions=[session("genesys", jwe=JWE)])
    assert operations(plan) == [("genesys", genesys.DELETE_TOKENS_ME)]
    assert plan.refused == (RefusedUnit("genesys", Reason.ROUTE_UNRESOLVABLE),)


def test_the_same_event_has_the_same_call_ids() -> None:
    """Redelivery and replay meet the same rows; another event does not."""
    once, again = ended(session("finbourne", jwe=JWE)), ended(session("finbourne", jwe=JWE))
    assert once.calls[0].call_id == again.calls[0].call_id


@pytest.mark.parametrize(
    "other",
    [
        lambda: ended(session("finbourne", jwe=JWE), id="e-2"),
        lambda: ended(session("finbourne", jwe=JWE), source="urn:other"),
        lambda: ended(session("finbourne", jwe=OTHER_JWE)),
        lambda: ended(session("genesys", jwe=JWE)),
    ],
    ids=["event", "source", "credential", "provider"],
)
def test_another_event_source_provider_or_session_has_another_call_id(other: Callable[[], Plan]) -> None:
    """Each part of the identity counts: two sources may give their events the same id."""
    assert other().calls[0].call_id != ended(session("finbourne", jwe=JWE)).calls[0].call_id


def test_the_deadline_is_the_budget_or_the_events_own_end() -> None:
    """Whatever comes first: 24 h for routine calls, or the event's `expirytime`."""
    plain = ended(session("finbourne", jwe=JWE)).calls[0]
    short = ended(session("finbourne", jwe=JWE), expirytime="2026-11-21T02:15:30Z").calls[0]
    assert plain.deadline - plain.occurred_at == timedelta(hours=24)
    assert short.deadline - short.occurred_at == timedelta(hours=1)


def test_a_plan_for_one_provider_leaves_the_others_out() -> None:
    """What a replayed unit asks for."""
    whole = disabled(accounts={"genesys": {"user_id": USER}}, providers=["wibmo", "nobody"])
    plan = whole.only("wibmo")
    assert (plan.calls, plan.units) == ((), ())
    assert plan.refused == (RefusedUnit("wibmo", Reason.ROUTE_UNRESOLVABLE),)
    assert whole.only("genesys") == Plan(whole.calls, (), ())
    assert {unit.provider for unit in whole.only("finbourne").units} == {"finbourne"}
    assert whole.only("wibmo", "nobody").refused == whole.refused
    assert whole.only() == Plan((), (), ())


def test_a_disabled_users_session_at_an_unknown_provider_is_refused() -> None:
    """Somebody may still be logged in there: never dropped in silence."""
    for data in ({}, {"accounts": {"genesys": {"user_id": USER}}}, {"providers": ["wibmo"]}):
        refused = disabled(sessions=[session("nobody", jwe=JWE)], **data).refused
        assert RefusedUnit("nobody", Reason.ROUTE_UNKNOWN_PROVIDER) in refused


def test_people_see_a_masked_subject_and_look_up_a_hash() -> None:
    """The identifier itself is nowhere in the call."""
    call = disabled(accounts={"genesys": {"user_id": USER}}).calls[0]
    assert call.subject == "a…@example.com"
    assert CATALOGUE.subjects.lookup(" Alice@Example.com ") in call.subject_keys
    assert "alice" not in call.model_dump_json()


def test_a_call_carries_the_hashes_by_which_it_is_compared() -> None:
    """What it hits, and all the names of the person together; neither in clear."""
    index = CATALOGUE.subjects
    [call] = disabled(accounts={"genesys": {"user_id": USER}}).calls
    assert (call.target, call.target_key) == (("genesys", "user", USER), index.target(call.target))
    assert call.person_key == index.person(event("user.disabled", {"sub_id": ALICE})) is not None


def test_an_enabled_user_becomes_no_call_and_tells_whose_calls_need_not_be_made() -> None:
    """By the very target that the call of a user.disabled has; a session that it lists is nothing to it.

    The user is enabled at every provider: nowhere does the event say that somebody is out.
    """
    account = {"genesys": {"user_id": USER}}
    plan = enabled(accounts=account, sessions=[session("finbourne", jwe=JWE)])
    [call] = disabled(accounts=account).calls
    assert (plan.calls, plan.refused) == ((), ())
    assert {(each.state, each.operation) for each in plan.units} == {(State.ENABLED, None)}
    targets = {each.provider: each.target_key for each in plan.units}
    assert targets == {"genesys": call.target_key, "genesys-eu": None, "finbourne": None, "wibmo": None}


def test_an_enabled_user_is_found_by_the_sub_of_the_instances_own_issuer_and_by_no_other_name() -> None:
    """As a user who is disabled."""
    plan = enabled(sub_id={"format": "iss_sub", "iss": ISSUER, "sub": USER})
    assert [each.provider for each in plan.units if each.target_key] == ["genesys"]
    plan = enabled(sub_id={"format": "iss_sub", "iss": "https://other", "sub": USER})
    assert not [each for each in plan.units if each.target_key]


def test_what_cannot_be_told_of_an_enabled_user_is_a_dead_letter() -> None:
    """A provider that nobody configured, and a user id that is none there."""
    plan = enabled(accounts={"initech": {"user_id": USER}, "genesys": {"user_id": "ada"}})
    assert set(plan.refused) == {
        RefusedUnit("initech", Reason.ROUTE_UNKNOWN_PROVIDER),
        RefusedUnit("genesys", Reason.ROUTE_UNRESOLVABLE),
    }


def test_a_source_that_reaches_some_providers_enables_nobody_at_the_others() -> None:
    """Its events reach no other."""
    account = {name: {"user_id": USER} for name in ("genesys", "genesys-eu")}
    plan = enabled(accounts=account).only("genesys-eu")
    assert [each.provider for each in plan.units] == ["genesys-eu"]
