"""What the session registry ends, on each database: what began before, and what is told later."""

from datetime import timedelta

from registered_sessions import (
    ADA,
    CATALOGUE,
    LIMITED,
    NOON,
    SUBJECTS,
    disabled,
    enabled,
    ended,
    event,
    names,
    planned,
    plans,
    session,
    settle,
    started,
)

from tasks.call import Lane
from tasks.outcome import Reason, State
from worker.intake.registry import store
from worker.intake.registry.registry import SessionRegistry
from worker.ledger import Ledger

pytest_plugins = ["ledger_fixtures", "registry_fixtures"]


def test_a_user_disabled_ends_the_sessions_that_began_before(known: SessionRegistry) -> None:
    """At every provider that ends single sessions, by the credential as it was sealed; nobody else's."""
    bob = {"format": "email", "email": "bob@example.com"}
    before = started(0, session("f"), session("w", "wibmo"), session("g", "genesys"), session("x", "nobody"))
    [plan, _] = plans(known, before, started(1, session("b"), who=bob))
    assert [(each.provider, each.reason) for each in plan.refused] == [("nobody", Reason.ROUTE_UNKNOWN_PROVIDER)]
    assert not plan.calls
    [plan] = plans(known, disabled(10, {"format": "email", "email": "ADA@example.com"}))
    assert sorted(names(plan.calls)) == ["f", "g", "w"]
    assert not plan.units
    assert not plan.refused


def test_one_name_that_is_the_same_is_enough(known: SessionRegistry) -> None:
    """With its kind and its issuer: an id of another issuer is another person's."""
    issued = {"format": "iss_sub", "iss": "https://idp", "sub": "1"}
    planned(known, started(0, session("s"), who={"format": "aliases", "identifiers": [ADA, issued]}))
    assert planned(known, disabled(5, {**issued, "iss": "https://other"})) == []
    assert planned(known, disabled(6, {"format": "opaque", "id": "1"})) == []
    assert planned(known, disabled(7, {"format": "complex", "user": issued})) == ["s"]


def test_a_token_that_is_told_twice_is_found_by_the_names_of_both(known: SessionRegistry) -> None:
    """And kept until the later of both expiries."""
    soon, late = ((NOON + timedelta(hours=hours)).isoformat() for hours in (2, 9))
    planned(known, started(0, session("s", expires_at=late)))
    issued = {"format": "iss_sub", "iss": "https://idp", "sub": "1"}
    planned(known, started(1, session("s", expires_at=soon, session_id="1"), who=issued))
    assert planned(known, disabled(7)) == planned(known, disabled(8, issued)) == ["s"]
    assert planned(known, ended(9, "1")) == ["s"]


def test_a_start_that_comes_after_its_end_is_revoked_at_once(known: SessionRegistry) -> None:
    """Urgently, with the whole budget, and counted from the end; a younger session lives."""
    assert planned(known, disabled(10)) == []
    [old, young] = plans(known, started(4, session("old")), started(60, session("young")))
    [call] = old.calls
    assert (call.lane, call.occurred_at, call.deadline) == (
        Lane.URGENT,
        NOON + timedelta(seconds=10),
        NOON + timedelta(seconds=10, hours=1),
    )
    assert young.calls == ()
    assert planned(known, disabled(20)) == ["old"]  # until it is known to be dead


def test_within_the_leeway_a_session_counts_as_older_unless_the_person_was_enabled_in_between(
    known: SessionRegistry,
) -> None:
    """Clocks differ and sources round; by the word of another source nobody is enabled."""
    planned(known, disabled(10), event("user.enabled", 11, {"sub_id": ADA}, source="urn:other"))
    assert planned(known, started(12, session("a"))) == ["a"]
    planned(known, enabled(11))
    assert planned(known, started(12, session("b"))) == []
    assert planned(known, disabled(12)) == ["a", "b"]
    assert planned(known, started(18, session("c"))) == []


def test_a_session_is_ended_by_its_id_alone(known: SessionRegistry) -> None:
    """Wherever its tokens are; an id is its issuer's own, and a start that comes later is revoked."""
    planned(known, started(0, session("f", session_id="1"), session("w", "wibmo", session_id="1"), session("o")))
    assert planned(known, ended(5, "1", issuer="urn:other")) == []
    assert planned(known, ended(5, "1")) == ["f", "w"]
    assert planned(known, ended(5, "late")) == []
    assert planned(known, started(4, session("l", session_id="late"), session("m", session_id="other"))) == ["l"]


def test_a_source_ends_nothing_where_its_events_do_not_reach(known: SessionRegistry, ledger: Ledger) -> None:
    """Neither what began before nor what is told later: it lives, and counts as open."""
    both = session("f", session_id="1"), session("w", "wibmo", session_id="1")
    planned(known, started(0, *both))
    assert planned(known, disabled(5, source=LIMITED)) == ["w"]
    assert store.open_sessions(ledger.database, SUBJECTS.lookups("ada@example.com")) == {"finbourne": 1}
    assert planned(known, started(4, session("g"), session("v", "wibmo"))) == ["v"]
    by_id = {"session_ids": ["1"], "session_issuer": "urn:login"}
    assert planned(known, event("session.ended", 6, by_id, source=LIMITED)) == ["w"]
    assert planned(known, disabled(7)) == ["f", "g", "v", "w"]


def test_an_id_of_which_nothing_is_known_says_so(known: SessionRegistry, ledger: Ledger) -> None:
    """At each provider where it may have been; a replay says that the credentials are gone."""
    [plan] = plans(known, ended(5, "1"))
    assert {(each.provider, each.state, each.reason) for each in plan.units} == {
        (name, State.NO_SESSION_KNOWN, "not registered, or expired") for name in CATALOGUE.instances
    }
    plans(known, started(0, session("s", session_id="2")), ended(5, "2"))
    settle(ledger, known, disabled(6))
    [plan] = plans(known, ended(5, "2"))
    assert {each.reason for each in plan.units} == {"ended before, credentials gone"}
