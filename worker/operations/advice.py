"""What to do about a part of an event that is not out."""

from dataclasses import dataclass
from typing import Final

from tasks.outcome import Reason, State
from worker.calls.coverage import HELD_FOR_USER
from worker.calls.rate_limits.wait_queue import HELD_FOR_SOURCE
from worker.ledger import CallRow
from worker.operations.remedies import Remedy, Replay, remedy_for
from worker.operations.standings import Standing, Verdict, lives_on

_BY_ITSELF: Final = "it goes on by itself"


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do; *command* is what to type then, *runbook* where it is told at length. Both may be empty."""

    do: str
    command: str = ""
    runbook: str = ""


def advice_on(part: Standing) -> Advice | None:
    """Return what to do about *part*; None where it is out."""
    if part.is_out:
        return None
    if part.verdict is Verdict.UNPROVED:
        do = "is it the right organization and region, and does anything in between change tokens?"
        return Advice(do, "revoker provider check", "docs/operators.md#doubt")
    if part.verdict is Verdict.IN_PART:
        return Advice(f"this must end by itself, or be ended there by hand: {lives_on(part.row)}")
    if part.verdict is Verdict.ENABLED:
        return Advice("nothing; if this person must go all the same, their source disables them once more")
    return _on_state(part)


def _on_state(part: Standing) -> Advice:
    row = part.row
    match row.state:
        case State.DEAD:
            return _on_letter(row)
        case State.HELD:
            return _on_hold(row)
        case State.RETRYING:
            remedy = remedy_for(row.reason or "", row.detail)
            return Advice(f"{_BY_ITSELF}; if it keeps failing: {remedy.do}", runbook=remedy.runbook)
        case State.PLANNED:
            return Advice("no worker has reported on it yet: do worker and recorder run?", "revoker doctor")
        case State.REPLAYED:
            return Advice("its replay is under way: ask again in a moment")
        case _:
            return Advice("somebody gave it up: its token may live; the producer sends the event anew, under a new id")


def _on_letter(row: CallRow) -> Advice:
    remedy = remedy_for(row.reason or "", row.detail)
    return Advice(remedy.do, _replay(remedy, (row.dead_letter_id or "")[:8]), remedy.runbook)


def _replay(remedy: Remedy, short_id: str) -> str:
    match remedy.replay:
        case Replay.CANARY | Replay.SLOWLY:
            return f"revoker dlq replay {short_id} --reason TEXT"
        case Replay.LOOK_FIRST:
            return f"revoker dlq replay {short_id} --force --dry-run"
        case Replay.RELEASE:
            return "revoker flood list"
        case Replay.USELESS:
            return f"revoker dlq show {short_id}"


def _on_hold(row: CallRow) -> Advice:
    match row.reason:
        case Reason.GUARD_FLOOD:
            remedy = remedy_for(Reason.GUARD_FLOOD, row.detail)
            return Advice(remedy.do, "revoker flood list", remedy.runbook)
        case _ if row.reason == HELD_FOR_USER:
            return Advice(f"another call for the same user is under way: {_BY_ITSELF}")
        case _ if row.reason == HELD_FOR_SOURCE:
            return Advice(f"enough others of its source wait for the rate limit: {_BY_ITSELF}")
        case _:
            return Advice(f"its provider is held: {_BY_ITSELF} when that ends", "revoker provider list")
