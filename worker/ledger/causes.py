"""Causes: dead letters grouped by their fingerprint, so that one decision serves all that one remedy mends."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from worker.database.tables import dead_letters
from worker.ledger.dead_letters import conditions
from worker.ledger.rows import DeadLetterFilter

_ANY: Final = DeadLetterFilter()
_LETTER: Final = dead_letters.c


@dataclass(frozen=True, slots=True)
class CauseRow:
    """Dead letters of one cause: what they share, how many there are, since when, and whom they concern."""

    cause: str
    kind: str
    provider: str | None
    operation: str | None
    reason: str
    detail: Mapping[str, str]  # of the example
    count: int
    people: int  # that can be told apart: who is named in two ways counts twice, who is not named at all does not count
    first_at: datetime  # the first death of any of them
    last_at: datetime
    example: str  # the id of one of them


def causes(connection: sa.Connection, where: DeadLetterFilter = _ANY) -> list[CauseRow]:
    """The causes of the dead letters that *where* describes, the most frequent first; its limit is one of causes."""
    found = _figures(where).limit(where.limit).subquery()
    shared = (_LETTER[name] for name in ("kind", "provider", "operation", "reason", "detail"))
    joined = found.join(dead_letters, _LETTER.dead_letter_id == found.c.example)
    ordered = sa.select(found, *shared).select_from(joined).order_by(found.c["count"].desc(), found.c.cause)
    return [CauseRow(**{**row, "detail": json.loads(row["detail"])}) for row in connection.execute(ordered).mappings()]


def _figures(where: DeadLetterFilter) -> sa.Select[str, int, int, datetime, datetime, str]:
    """The index `dead_letters_by_cause` has all that is asked for, as long as *where* names no more than a cause."""
    count, person = sa.func.count().label("count"), sa.func.coalesce(_LETTER.person, _LETTER.target)
    figures = sa.select(
        _LETTER.cause,
        count,
        sa.func.count(person.distinct()).label("people"),
        sa.func.min(_LETTER.first_at).label("first_at"),
        sa.func.max(_LETTER.at).label("last_at"),
        sa.func.max(_LETTER.dead_letter_id).label("example"),
    )
    matching = figures.where(_LETTER.state.in_(where.states), *conditions(where))
    return matching.group_by(_LETTER.cause).order_by(count.desc(), _LETTER.cause)
