"""Where a provider stands, all parts together; and what to do about each part that is not out."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from in_one_test import in_one_test

from tasks.outcome import Reason, State
from worker.calls.coverage import HELD_FOR_USER
from worker.ledger import CallRow
from worker.operations.advice import advice_on
from worker.operations.provider_standings import PARTIAL, UNPROVED, by_provider
from worker.operations.standings import IN_PART, Standing, Verdict

NOON: Final = datetime(2026, 5, 4, 12, tzinfo=UTC)


def part(state: State, verdict: Verdict | None = None, **told: Any) -> Standing:
    """A call at Genesys in *state*, judged by that alone where no *verdict* is given."""
    nothing: dict[str, Any] = dict.fromkeys(CallRow.__dataclass_fields__)
    known = {"kind": "call", "provider": "genesys", "detail": {}, "occurred_at": NOON, "attempt": 1}
    judged = Verdict.OUT if state.is_settled else Verdict.NOT_YET_OUT
    return Standing(CallRow(**nothing | known | {"state": state} | told), judged if verdict is None else verdict)


def state_of(*parts: Standing) -> str:
    """The state of the one provider of *parts*."""
    [found] = by_provider(parts)
    return found.state


def test_a_part_that_leaves_something_alive_says_so_itself() -> None:
    """Whoever looks at parts alone, in the console or with -o wide, reads no bare `accepted`."""
    told = {"detail": {"evidence": "204; probe 401", "partial": "access tokens"}}
    left, whole = part(State.CONFIRMED, Verdict.IN_PART, **told), part(State.CONFIRMED, detail={"evidence": "204"})
    assert (left.state, left.evidence) == (IN_PART, "204; probe 401; leaves alive: access tokens")
    assert (whole.state, whole.evidence) == ("confirmed", "204")


@in_one_test
@pytest.mark.parametrize("state", State)
def test_a_provider_with_one_part_stands_as_this(state: State) -> None:
    """Whatever it is."""
    assert state_of(part(state)) == state


@pytest.mark.parametrize(
    ("parts", "state"),
    [
        ((part(State.CONFIRMED), part(State.ACCEPTED)), State.ACCEPTED),
        ((part(State.CONFIRMED), part(State.ACCEPTED), part(State.ALREADY_REVOKED)), State.ALREADY_REVOKED),
        ((part(State.CONFIRMED), part(State.NO_SESSION_KNOWN)), State.NO_SESSION_KNOWN),
        ((part(State.CONFIRMED), part(State.DEAD, Verdict.OUT)), State.CONFIRMED),
        ((part(State.DEAD, Verdict.OUT),), State.SUPERSEDED),
        ((part(State.RETRYING), part(State.DEAD), part(State.PLANNED)), State.DEAD),
        ((part(State.CONFIRMED), part(State.RETRYING)), PARTIAL),
        ((part(State.ALREADY_REVOKED, Verdict.UNPROVED),), UNPROVED),
        ((part(State.ALREADY_REVOKED, Verdict.UNPROVED), part(State.ACCEPTED)), PARTIAL),
        ((part(State.SUPERSEDED, Verdict.ENABLED), part(State.ACCEPTED)), State.ENABLED),
        ((part(State.ACCEPTED, Verdict.IN_PART),), IN_PART),
        ((part(State.ENABLED, Verdict.ENABLED), part(State.RETRYING), part(State.ACCEPTED)), PARTIAL),
    ],
)
def test_of_several_parts_the_weakest_proof_counts_or_what_needs_somebody_most(
    parts: tuple[Standing, ...], state: str
) -> None:
    """Some out and some not is partial; a call that a later one made needless weakens nothing."""
    assert state_of(*parts) == state
    assert state_of(*reversed(parts)) == state


def test_each_provider_tells_how_many_are_out_and_what_comes_next() -> None:
    """By name; a refused event has none."""
    soon, later = NOON + timedelta(minutes=1), NOON + timedelta(minutes=5)
    found = by_provider(
        [
            part(State.RETRYING, provider="wibmo", next_attempt_at=later),
            part(State.RETRYING, provider="wibmo", next_attempt_at=soon),
            part(State.ACCEPTED, provider="finbourne", next_attempt_at=soon),
            part(State.DEAD, provider=None, kind="event"),
        ]
    )
    told = [(each.provider, each.out, each.parts, each.next_attempt_at, each.is_out) for each in found]
    assert told == [(None, 0, 1, None, False), ("finbourne", 1, 1, None, True), ("wibmo", 0, 2, soon, False)]


@in_one_test
@pytest.mark.parametrize("state", State)
def test_there_is_something_to_do_about_every_part_that_is_not_out(state: State) -> None:
    """Even if it is to wait; nothing about one that is."""
    assert (advice_on(part(state)) is None) is state.is_settled


@pytest.mark.parametrize(
    ("told", "do", "command"),
    [
        (part(State.DEAD, reason="auth.forbidden", dead_letter_id="0123456789"), "grant", "dlq replay 01234567 --reas"),
        (part(State.DEAD, reason="event.stale", dead_letter_id="0123456789"), "ask", "dlq replay 01234567 --force"),
        (part(State.DEAD, reason="task.unknown", dead_letter_id="0123456789"), "find out", "dlq show 01234567"),
        (part(State.HELD, reason=Reason.GUARD_FLOOD, kind="event"), "owner of the source", "flood list"),
        (part(State.HELD, reason=HELD_FOR_USER), "by itself", ""),
        (part(State.HELD, reason="http.5xx"), "when that ends", "provider list"),
        (part(State.RETRYING, reason="net.tls"), "by itself; if it keeps failing: mend", ""),
        (part(State.PLANNED), "do worker and recorder run?", "doctor"),
        (part(State.ALREADY_REVOKED, Verdict.UNPROVED), "right organization", "provider check"),
        (part(State.ENABLED, Verdict.ENABLED), "disables them once more", ""),
        (part(State.ACCEPTED, Verdict.IN_PART, detail={"partial": "web"}), "ended there by hand: web", ""),
    ],
)
def test_the_advice_is_that_of_its_state_and_reason(told: Standing, do: str, command: str) -> None:
    """And what is to be typed once it is done."""
    advice = advice_on(told)
    assert advice is not None
    assert do in advice.do
    assert advice.command.startswith(f"revoker {command}" if command else "")
    assert bool(advice.command) is bool(command)
