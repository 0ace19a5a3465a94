"""The oracle can fail: each kind of violation, alone, is found and named; and what is well is left in peace."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from chaos.load import Unit
from chaos.oracle import Allowance, Evidence, judge
from tasks.outcome import State
from worker.ledger import CallRow

UNITS = [Unit("event-0", "genesys", "key-0"), Unit("event-1", "finbourne", "key-1")]
NOTHING = Allowance()
FORBIDDEN = Allowance(reasons=frozenset({"auth.forbidden"}))


def call(unit: Unit, **members: Any) -> dict[str, Any]:
    """A line of the provider's journal: the call that killed the token."""
    return {"operation": "finbourne.invalidate_token", "key": unit.key, "revoked": True, **members}


def line(unit: Unit, state: State = State.ACCEPTED, **members: Any) -> CallRow:
    """A row of the ledger."""
    values: dict[str, Any] = dict.fromkeys(CallRow.__dataclass_fields__)
    told = {"kind": "call", "event_id": unit.event_id, "provider": unit.provider, "state": state, "detail": {}}
    return CallRow(**(values | told | {"at": datetime.now(UTC)} | members))


WELL = Evidence(
    units=UNITS,
    confirmed=frozenset({"event-0", "event-1"}),
    journal=[call(unit) for unit in UNITS],
    ledger=[line(unit) for unit in UNITS],
    told_out=frozenset({"event-0", "event-1"}),
    gone=frozenset((unit.provider, unit.key) for unit in UNITS),
    queues={"revocation.intake": 0},
)


def faults(evidence: Evidence, allowed: Allowance = NOTHING) -> list[str]:
    """What the oracle finds."""
    return judge(evidence, allowed).faults


def test_all_is_well() -> None:
    """Confirmed, dead at the provider, settled in the ledger, nothing left: no fault."""
    assert faults(WELL) == []


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        ({"journal": [call(UNITS[0])], "ledger": [line(UNITS[0])]}, "lost: event-1 at finbourne"),
        ({"ledger": [line(UNITS[0])]}, "lost: event-1 at finbourne"),
        ({"ledger": [line(UNITS[0]), line(UNITS[1], State.HELD)]}, "lost: event-1 at finbourne"),
        ({"ledger": [line(UNITS[0]), line(UNITS[1], State.RETRYING)]}, "lost: event-1 at finbourne"),
        ({"strangers": 1}, "lost: 1 of 1 strange messages"),
        ({"journal": [*WELL.journal, call(Unit("-", "-", "other"))]}, "unexpected: other was revoked"),
        ({"confirmed": frozenset({"event-1"})}, "unexpected: event-0 is in the ledger and was never published"),
        ({"ledger": [*WELL.ledger, line(UNITS[0])]}, "unexpected: event-0 has 2 rows for genesys"),
        ({"ledger": [*WELL.ledger, line(Unit("x", "genesys", "-"))]}, "unexpected: call x genesys is accepted"),
        (
            {"journal": [call(UNITS[0])], "gone": frozenset({("genesys", "key-0")})},
            "contradicted: event-1 at finbourne is settled, and alive",
        ),
        ({"gone": frozenset({("genesys", "key-0")})}, "told out but living: event-1 at finbourne"),
        (
            {"gone": frozenset({("genesys", "key-0"), ("genesys", "key-1")})},
            "told out but living: event-1 at finbourne",
        ),
        ({"queues": {"revocation.dead": 2}}, "leftover: 2 in revocation.dead"),
        ({"journal": [*WELL.journal, call(UNITS[0], revoked=False)]}, "duplicated: 1 calls, at most 0"),
    ],
)
def test_each_violation_is_found_and_named(harm: dict[str, Any], found: str) -> None:
    """One thing wrong, and the sentence about it is among the faults."""
    assert any(fault.startswith(found) for fault in faults(replace(WELL, **harm))), faults(replace(WELL, **harm))


def test_a_token_that_died_by_itself_is_as_good_as_revoked() -> None:
    """The provider's store is the judge: nobody need have killed it."""
    assert faults(replace(WELL, journal=[call(UNITS[0])])) == []


def test_a_living_token_of_which_nobody_says_that_it_is_out_is_no_lie() -> None:
    """It is lost, or late, which is another fault."""
    verdict = judge(replace(WELL, told_out=frozenset({"event-0"}), gone=frozenset({("genesys", "key-0")})), NOTHING)
    assert verdict.living == []


def test_of_a_provider_in_doubt_only_what_is_told_out_is_judged() -> None:
    """Its tokens live, and the ledger has its word: neither is lost or contradicted, but one told out is a lie."""
    lied = replace(WELL, journal=[call(UNITS[0])], gone=frozenset({("genesys", "key-0")}))
    doubted = Allowance(doubted=frozenset({"finbourne"}))
    assert faults(lied, doubted) == ["told out but living: event-1 at finbourne"]
    assert faults(replace(lied, told_out=frozenset({"event-0"})), doubted) == []


def dead(reason: str | None) -> Evidence:
    """The second event died, for *reason*."""
    return replace(
        WELL,
        told_out=frozenset({"event-0"}),
        journal=[call(UNITS[0])],
        ledger=[line(UNITS[0]), line(UNITS[1], State.DEAD, reason=reason)],
    )


def test_a_dead_letter_for_a_scripted_reason_is_no_loss() -> None:
    """It is counted by its reason."""
    verdict = judge(dead("auth.forbidden"), FORBIDDEN)
    assert verdict.faults == []
    assert verdict.dead == {"auth.forbidden": 1}


@pytest.mark.parametrize("reason", [None, "", "http.5xx"])
def test_a_dead_letter_without_a_reason_or_with_another_is_undead(reason: str | None) -> None:
    """Nobody scripted it, so nobody may bury it."""
    assert faults(dead(reason), FORBIDDEN)[0].startswith("undead: call event-1 finbourne")


def test_a_unit_is_settled_or_dead_but_not_both() -> None:
    """C and D have nothing in common."""
    both = replace(WELL, ledger=[*WELL.ledger, line(UNITS[1], State.DEAD, reason="auth.forbidden")])
    assert "contradicted: event-1 at finbourne is both settled and dead" in faults(both, FORBIDDEN)


def test_an_event_of_unknown_fate_may_be_done_or_not() -> None:
    """U: neither its presence nor its absence is a fault; that of a confirmed one would be."""
    there = replace(WELL, confirmed=frozenset({"event-0"}), unknown=frozenset({"event-1"}))
    assert faults(there) == []
    assert faults(replace(there, journal=[call(UNITS[0])], ledger=[line(UNITS[0])])) == []


def test_strange_messages_are_dead_letters_each_for_an_allowed_reason() -> None:
    """Their number is that of the messages published: one less is lost, one more is invented."""
    strange = line(Unit("", "", ""), State.DEAD, kind="message", event_id=None, provider=None, reason="event.too_large")
    evidence = replace(WELL, ledger=[*WELL.ledger, strange], strangers=1)
    allowed = Allowance(strange_reasons=frozenset({"event.too_large"}))
    assert faults(evidence, allowed) == []
    assert faults(replace(evidence, strangers=2), allowed) == ["lost: 1 of 2 strange messages"]
    assert faults(replace(evidence, strangers=0), allowed) == ["unexpected: 1 dead letters of nobody's message"]


def test_parts_of_an_event_that_need_no_call_are_no_calls() -> None:
    """A covered session, and a provider where nobody is known, have rows of their own."""
    idle = [line(Unit("event-0", "finbourne", "-"), state) for state in (State.COVERED, State.NO_SESSION_KNOWN)]
    assert faults(replace(WELL, ledger=[*WELL.ledger, *idle])) == []


def test_duplicates_are_calls_for_what_is_dead_already() -> None:
    """A retry before the token died is none; logins and probes are no revocations."""
    tried = [call(UNITS[0], revoked=False), *WELL.journal, call(UNITS[0], operation="genesys.login", revoked=False)]
    again = [*tried, call(UNITS[0], revoked=False)]
    assert judge(replace(WELL, journal=tried), Allowance()).duplicates == 0
    assert judge(replace(WELL, journal=again), Allowance(duplicates=1)).faults == []
