"""What waits, by provider: open calls, and dead letters that nobody has closed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from tasks.outcome import OPEN, State
from worker.database.engine import Database
from worker.database.tables import calls, dead_letters, holds
from worker.ledger.rows import CLOSED, DeadLetterState

_UNCLOSED: Final = tuple(state for state in DeadLetterState if state not in CLOSED)
# The scope of a hold, and the opener of one that lasts until a probe succeeds, as the worker writes them.
_OF_EVERY_CALL, _PROBED = "all", "breaker"


@dataclass(frozen=True, slots=True)
class Several:
    """How many, and since when the oldest of them waits."""

    count: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in the ledger."""

    calls: Mapping[str, Several] = field(default_factory=dict)  # by provider; the oldest by its event's time
    held: Mapping[str, int] = field(default_factory=dict)  # of these, by provider, those that wait behind a hold
    letters: Mapping[tuple[str | None, str], Several] = field(default_factory=dict)  # by provider and reason


def waiting(database: Database) -> Waiting:
    """What waits now. Raises LedgerUnavailable."""
    with database.reading() as connection:
        found = connection.execute(_open_calls()).all()
        paused = set(connection.execute(_paused()).scalars())
        letters = connection.execute(_letters()).all()
    by_provider: dict[str, Several] = {}
    held: dict[str, int] = {}
    for provider, state, count, oldest in found:
        before = by_provider.get(provider, Several(0, oldest))
        by_provider[provider] = Several(before.count + count, min(before.oldest_at, oldest))
        if provider in paused or state == State.HELD:
            held[provider] = held.get(provider, 0) + count
    return Waiting(by_provider, held, {(name, reason): Several(count, at) for name, reason, count, at in letters})


def _open_calls() -> sa.Select[str, str, int, datetime]:
    call = calls.c
    figures = (call.provider, call.state, sa.func.count(), sa.func.min(call.occurred_at))
    return sa.select(*figures).where(call.state.in_(OPEN)).group_by(call.provider, call.state)


def _paused() -> sa.Select[str]:
    """The providers of which no call may go, whoever asked for it."""
    hold = holds.c
    stands = sa.or_(hold.until > datetime.now(UTC), hold.opened_by == _PROBED)
    return sa.select(hold.provider).where(hold.scope == _OF_EVERY_CALL, hold.source == "", stands)


def _letters() -> sa.Select[str | None, str, int, datetime]:
    letter = dead_letters.c
    figures = (letter.provider, letter.reason, sa.func.count(), sa.func.min(letter.at))
    return sa.select(*figures).where(letter.state.in_(_UNCLOSED)).group_by(letter.provider, letter.reason)
