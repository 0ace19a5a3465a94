"""Planning: what becomes of an enabled user, at which providers."""

from planned_events import ISSUER, JWE, USER, disabled, enabled, session

from tasks.outcome import Reason, State
from tasks.plan import RefusedUnit


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
