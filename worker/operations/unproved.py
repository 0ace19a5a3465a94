"""Which calls are settled on the word of an instance in doubt: it called everybody dead already."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from tasks.doubt import DIED, EARLIER_ATTEMPT, Answer, are_doubtful, between_proofs
from tasks.outcome import State

if TYPE_CHECKING:
    from worker.ledger import CallRow


class Answers(Protocol):
    """What is asked of the ledger."""

    def answers_around(self, provider: str, at: datetime) -> list[Answer]:
        """What *provider* said of tokens around *at*."""


def unproved(ledger: Answers) -> Callable[[CallRow], bool]:
    """What tells whether a row is not proved; it asks *ledger* once for each moment of each instance.

    Where we know why the token was dead already, its provider need not be believed. An attempt of ours that got no
    answer explains it only if that attempt went to the right place.
    """

    @functools.cache
    def is_in_doubt(provider: str, at: datetime) -> bool:
        return are_doubtful(between_proofs(at, ledger.answers_around(provider, at)))

    def is_unproved(row: CallRow) -> bool:
        if row.state is not State.ALREADY_REVOKED or row.provider is None or row.at is None:
            return False
        return row.detail.get(DIED, EARLIER_ATTEMPT) == EARLIER_ATTEMPT and is_in_doubt(row.provider, row.at)

    return is_unproved
