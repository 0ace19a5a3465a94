"""Which dead letters a replay can vouch for: those that are as a process of ours made them."""

from __future__ import annotations

import logging

from worker.broker.provenance import LetterMac
from worker.ledger import DeadLetterRow
from worker.operations.replay_rules import Refusal, ReplayPlan
from worker.operations.republishing import may_be_a_claim

logger = logging.getLogger(__name__)


def only_vouched(plan: ReplayPlan, letters: LetterMac, *, claims: bool = False) -> ReplayPlan:
    """*plan* without what nobody of ours vouches for; with *claims* those stay in it that can prove themselves."""
    doubts = [(row, doubt_about(row, letters, claims=claims)) for row in plan.ready]
    refused = tuple((row, doubt) for row, doubt in doubts if doubt is not None)
    return ReplayPlan(tuple(row for row, doubt in doubts if doubt is None), (*plan.refused, *refused))


def doubt_about(row: DeadLetterRow, letters: LetterMac, *, claims: bool = False) -> Refusal | None:
    """Why *row* must not be replayed; no force helps."""
    letter = row.letter
    if letter.mac is None:
        return None if claims and may_be_a_claim(letter) else Refusal.NOT_VOUCHED
    if letter.dead_letter_id == row.dead_letter_id and letters.verify(letter):
        return None
    logger.error("dead_letter.altered", extra={"dead_letter_id": row.dead_letter_id})
    return Refusal.ALTERED
