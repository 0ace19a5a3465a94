"""Planning: every cell of the event × provider table, and nothing guessed."""

from typing import Any

import pytest
from planned_events import CATALOGUE, ISSUER, JWE, OTHER, REFERENCE, USER, disabled, ended, event, operations, session

from tasks.call import Lane, Operation
from tasks.outcome import Reason, State
from tasks.plan import Plan, RefusedUnit, plan_revocations
from tasks.providers import finbourne, genesys, wibmo


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
