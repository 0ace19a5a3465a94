"""What a provider instance said of tokens, as far as it is needed to judge the instance."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, func, select

from tasks.doubt import DIED, KNOWS_LIVING, WINDOW, Answer
from tasks.outcome import State
from worker.database.tables import calls

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

_ENOUGH: Final = 1000  # answers: far more than prove or disprove anything


def around(connection: Connection, provider: str, at: datetime) -> list[Answer]:
    """The last proof of a living token before *at*, the first one after, and who was dead already between them."""
    near = and_(calls.c.provider == provider, calls.c.at.between(at - WINDOW, at + WINDOW))
    is_proof = and_(near, calls.c.state.in_(KNOWS_LIVING))
    before = connection.execute(select(func.max(calls.c.at)).where(is_proof, calls.c.at <= at)).scalar()
    after = connection.execute(select(func.min(calls.c.at)).where(is_proof, calls.c.at > at)).scalar()
    proofs = [Answer(proof, "", State.ACCEPTED) for proof in (before, after) if proof is not None]
    return [*proofs, *_dead_already(connection, near, before, after)]


def _dead_already(
    connection: Connection, near: ColumnElement[bool], before: datetime | None, after: datetime | None
) -> list[Answer]:
    bounds = [calls.c.at >= before] if before else []
    bounds += [calls.c.at <= after] if after else []
    named = (calls.c[name] for name in ("at", "person", "target", "call_id", "detail"))
    found = select(*named).where(near, calls.c.state == State.ALREADY_REVOKED, *bounds).limit(_ENOUGH)
    return [_answer(row) for row in connection.execute(found)]


def _answer(row: Any) -> Answer:  # noqa: ANN401 - a row
    is_explained = DIED in json.loads(row.detail)
    return Answer(row.at, row.person or row.target or row.call_id, State.ALREADY_REVOKED, is_explained)
