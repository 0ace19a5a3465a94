"""What became of the dead letters of a job, as the ledger knows it now."""

from typing import Any, Final

import sqlalchemy as sa

from tasks.outcome import SETTLED
from worker.database.tables import calls, dead_letters, job_letters
from worker.ledger.job_rows import Fate, JobGroup
from worker.ledger.rows import DeadLetterState

_MINE: Final = job_letters.c
_ITS: Final = dead_letters.c

_DIED: Final = _ITS.replays > _MINE.replays
_SETTLED: Final = sa.and_(_ITS.state == DeadLetterState.REPLAYED, calls.c.state.in_(sorted(SETTLED)))
# Of an event no call is known here: what the intake made of it is for `Watch` to find out.
_FATE: Final = sa.case(
    (_MINE.fate != Fate.REPLAYED, _MINE.fate),
    (_DIED, sa.literal(Fate.DIED.value)),
    (_SETTLED, sa.literal(Fate.SETTLED.value)),
    else_=_MINE.fate,
)


def groups(connection: sa.Connection, job_id: str) -> list[JobGroup]:
    """The dead letters of a job, counted by provider, reason of death, fate and why."""
    alike = (_MINE.provider, _MINE.reason, _FATE.label("now"), _MINE.why)
    each = sa.select(*alike).select_from(_known()).where(_MINE.job_id == job_id).subquery()
    counted: sa.Select[Any] = sa.select(*each.c, sa.func.count()).group_by(*each.c)
    return [JobGroup(one, why, Fate(fate), more, count) for one, why, fate, more, count in connection.execute(counted)]


def news(connection: sa.Connection, job_id: str) -> dict[str, Fate]:
    """What became, by id, of the job's dead letters of which it was not known."""
    waiting = sa.and_(_MINE.job_id == job_id, _MINE.fate == Fate.REPLAYED)
    told = sa.select(_MINE.dead_letter_id, _FATE).select_from(_known()).where(waiting, sa.or_(_DIED, _SETTLED))
    return {dead_letter_id: Fate(fate) for dead_letter_id, fate in connection.execute(told)}


def _known() -> sa.FromClause:
    letters: Any = job_letters.outerjoin(dead_letters, _ITS.dead_letter_id == _MINE.dead_letter_id)
    joined: sa.FromClause = letters.outerjoin(calls, calls.c.call_id == _ITS.call_id)
    return joined
