"""Which dead letters a replay takes, and why it leaves the others."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from tasks.events import RejectionCode
from tasks.instants import before
from tasks.outcome import event_reason
from tasks.records import DeadLetter
from worker.broker.provenance import LetterMac
from worker.ledger import DeadLetterRow, DeadLetterState
from worker.operations.republishing import may_be_a_claim
from worker.operations.superseding import Calls, superseding, taken_back

logger = logging.getLogger(__name__)


class Refusal(StrEnum):
    """Why a dead letter is not replayed; the first that applies."""

    NOT_OURS = "not_ours"  # a message that is no call and no event of ours: nobody knows what it would do
    NOT_STORED = "not_stored"  # it held, or may have held, a token in clear: the producer must send it anew
    WITHHELD = "withheld"  # part of a flood: `revoker flood release` is what lets it go
    DISCARDED = "discarded"
    REPLAYED = "replayed"  # and neither settled nor dead since
    SETTLED = "settled"
    TOO_OLD = "too_old"
    CONFLICT = "conflict"  # its id stands for something else that was done
    NOT_VOUCHED = "not_vouched"  # without the MAC of the process that made it: of an older version, or of a stranger
    ALTERED = "altered"  # with a MAC that is not of this letter: somebody wrote into the ledger
    SUPERSEDED = "superseded"  # a later event's call killed the same, or its source enabled the user again


_FINAL: Final = frozenset({Refusal.NOT_OURS, Refusal.NOT_STORED, Refusal.WITHHELD})  # no force helps
# The intake does not look at it again: whoever replays it all the same has decided.
_JUDGED: Final = {
    event_reason(RejectionCode.STALE): Refusal.TOO_OLD,
    event_reason(RejectionCode.ID_CONFLICT): Refusal.CONFLICT,
}
_STANDING: Final = {
    DeadLetterState.WITHHELD: Refusal.WITHHELD,
    DeadLetterState.DISCARDED: Refusal.DISCARDED,
    DeadLetterState.REPLAYED: Refusal.REPLAYED,
}


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What a replay would do. Nothing has happened yet."""

    ready: tuple[DeadLetterRow, ...]
    refused: tuple[tuple[DeadLetterRow, Refusal], ...]


def plan_replay(
    rows: Sequence[DeadLetterRow], calls: Calls, now: datetime, max_age: Mapping[str, timedelta], *, force: bool = False
) -> ReplayPlan:
    """Part *rows* into those to replay, in their order, and those refused. *force* overrules what it can.

    *max_age*, by event type, is twice and more of what calls are tried for by themselves (by default 24 h and 72 h),
    and short enough that a captured event is soon worth nothing.
    """
    is_killed, is_taken_back = superseding(calls), taken_back(calls)
    since = {kind: before(now, age) for kind, age in max_age.items()}

    def is_superseded(row: DeadLetterRow) -> bool:
        return is_killed(row) or is_taken_back(row)

    judged = [(row, _refusal(row, is_superseded, since, force=force)) for row in rows]
    return ReplayPlan(
        tuple(row for row, refusal in judged if refusal is None),
        tuple((row, refusal) for row, refusal in judged if refusal is not None),
    )


def only_vouched(plan: ReplayPlan, letters: LetterMac, *, claims: bool = False) -> ReplayPlan:
    """Return *plan* without letters that no process of ours made; *claims* keeps those that can prove themselves."""
    doubts = [(row, doubt_about(row, letters, claims=claims)) for row in plan.ready]
    refused = tuple((row, doubt) for row, doubt in doubts if doubt is not None)
    return ReplayPlan(tuple(row for row, doubt in doubts if doubt is None), (*plan.refused, *refused))


def doubt_about(row: DeadLetterRow, letters: LetterMac, *, claims: bool = False) -> Refusal | None:
    """Return the reason to refuse *row*, or None; no force helps."""
    letter = row.letter
    if letter.mac is None:
        return None if claims and may_be_a_claim(letter) else Refusal.NOT_VOUCHED
    if letter.dead_letter_id == row.dead_letter_id and letters.verify(letter):
        return None
    logger.error("dead_letter.altered", extra={"dead_letter_id": row.dead_letter_id})
    return Refusal.ALTERED


def _refusal(
    row: DeadLetterRow, is_superseded: Callable[[DeadLetterRow], bool], since: Mapping[str, datetime], *, force: bool
) -> Refusal | None:
    letter = row.letter
    refusal = _first_refusal(row, letter, since.get(letter.event_type or ""))
    if refusal is None and not force and is_superseded(row):
        refusal = Refusal.SUPERSEDED
    return None if force and refusal not in _FINAL else refusal


def _first_refusal(row: DeadLetterRow, letter: DeadLetter, since: datetime | None) -> Refusal | None:
    """The MAC covers what the letter says of itself, and not the other columns of its row."""
    if letter.kind == "message":
        return Refusal.NOT_OURS
    if letter.call is None and letter.body is None:
        return Refusal.NOT_STORED
    if row.state in _STANDING:
        return _STANDING[row.state]
    if row.call_state is not None and row.call_state.is_settled:
        return Refusal.SETTLED
    if since is not None and letter.occurred_at is not None and letter.occurred_at < since:
        return Refusal.TOO_OLD
    return _JUDGED.get(letter.reason)
