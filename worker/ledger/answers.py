"""How a provider answered around a moment: whether its word that a token was dead already can be in doubt."""

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from tasks.doubt import DIED, KNOWS_LIVING, PEOPLE, WINDOW, TokenAnswer
from tasks.outcome import State
from worker.database.columns import UtcTime
from worker.database.tables import IS_ANSWER, calls
from worker.ledger.queries import batches

_MAX_ANSWERS: Final = 1000  # far more than prove or disprove anything
_FIRST: Final = sa.literal(datetime(1, 1, 1, tzinfo=UTC), UtcTime)
_LAST: Final = sa.literal(datetime(9999, 12, 31, tzinfo=UTC), UtcTime)


def answers_around(connection: sa.Connection, provider: str, at: datetime) -> list[TokenAnswer]:
    """The last proof of a living token before *at*, the first one after, and who was dead already between them."""
    before = max(_proofs(connection, provider, calls.c.at.between(at - WINDOW, at), calls.c.at.desc()), default=None)
    later = sa.and_(calls.c.at > at, calls.c.at <= at + WINDOW)
    after = min(_proofs(connection, provider, later, calls.c.at), default=None)
    proofs = [TokenAnswer(proof, "", State.ACCEPTED) for proof in (before, after) if proof is not None]
    between = calls.c.at.between(before or at - WINDOW, after or at + WINDOW)
    return [*proofs, *_dead_already(connection, provider, between)]


def _proofs(
    connection: sa.Connection, provider: str, when: sa.ColumnElement[bool], order: sa.ColumnElement[Any]
) -> Sequence[datetime]:
    """The first moment in *order* at which *provider* came to each state that proves a living token."""
    of_state = (
        sa.select(calls.c.at).where(calls.c.provider == provider, calls.c.state == state, IS_ANSWER, when)
        for state in sorted(KNOWS_LIVING)
    )
    first = (sa.select(each.order_by(order).limit(1).subquery()) for each in of_state)
    return connection.execute(sa.union_all(*first)).scalars().all()


def _dead_already(connection: sa.Connection, provider: str, when: sa.ColumnElement[bool]) -> list[TokenAnswer]:
    columns = (calls.c[name] for name in ("at", "person", "target", "call_id", "detail"))
    theirs = sa.and_(calls.c.provider == provider, calls.c.state == State.ALREADY_REVOKED, IS_ANSWER, when)
    return [
        TokenAnswer(it.at, it.person or it.target or it.call_id, State.ALREADY_REVOKED, DIED in json.loads(it.detail))
        for it in connection.execute(sa.select(*columns).where(theirs).limit(_MAX_ANSWERS))
    ]


def among_dead_already(connection: sa.Connection, call_ids: Collection[str]) -> set[str]:
    """Those of the calls, at which a token was dead already, that have as many others beside them as make a doubt.

    That is between the last proof of a living token before and the first one after, however far these are.
    """
    found = (
        sa.select(calls.c.call_id).where(calls.c.call_id.in_(some), _is_crowded()) for some in batches([*call_ids])
    )
    return {call_id for each in found for call_id in connection.execute(each).scalars()}


def _is_crowded() -> sa.ColumnElement[bool]:
    other = calls.alias()
    theirs = sa.and_(other.c.provider == calls.c.provider, other.c.state == State.ALREADY_REVOKED, IS_ANSWER)
    before = [sa.func.coalesce(_nearest(state, before=True), _FIRST) for state in sorted(KNOWS_LIVING)]
    after = [sa.func.coalesce(_nearest(state, before=False), _LAST) for state in sorted(KNOWS_LIVING)]
    since, until = _later(*before), _earlier(*after)
    enough = sa.select(sa.literal(1)).where(theirs, other.c.at >= since, other.c.at <= until)
    return sa.exists(enough.offset(PEOPLE - 1).limit(1).correlate(calls))


def _later(one: sa.ColumnElement[Any], other: sa.ColumnElement[Any]) -> sa.Case[Any]:
    """One bound, at which the look along the index begins: two of them would begin at the wrong one."""
    return sa.case((one > other, one), else_=other)


def _earlier(one: sa.ColumnElement[Any], other: sa.ColumnElement[Any]) -> sa.Case[Any]:
    return sa.case((one < other, one), else_=other)


def _nearest(state: State, *, before: bool) -> sa.ScalarSelect[Any]:
    """When the provider of a call last came to *state* before it, or first after it."""
    proof = calls.alias()
    theirs = sa.and_(proof.c.provider == calls.c.provider, proof.c.state == state, IS_ANSWER)
    when = proof.c.at <= calls.c.at if before else proof.c.at > calls.c.at
    order = proof.c.at.desc() if before else proof.c.at.asc()
    return sa.select(proof.c.at).where(theirs, when).order_by(order).limit(1).correlate(calls).scalar_subquery()
