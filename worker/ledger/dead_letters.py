"""Finding dead letters, and claiming, replaying and discarding each of them once."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from tasks.outcome import Reason, State
from tasks.records import DeadLetter
from worker.database.columns import UtcTime, Words
from worker.database.engine import Database
from worker.database.tables import bodies, calls, dead_letters
from worker.database.writing import take_changes
from worker.ledger import audit as auditing
from worker.ledger.audit import AuditEntry
from worker.ledger.queries import about, batches
from worker.ledger.recording import call_row, write_rows
from worker.ledger.rows import (
    CLOSED,
    DeadLetterFilter,
    DeadLetterHead,
    DeadLetterRow,
    DeadLetterState,
    DeadLetterSummary,
    Unproved,
)

LEASE: Final = timedelta(minutes=15)  # a claim whose replay was not finished by then is free again
_ANY: Final = DeadLetterFilter()
_LETTER: Final = dead_letters.c

States = Sequence[DeadLetterState]


class DeadLetterNotFound(LookupError):  # noqa: N818 - what is the case
    """No dead letter has such an id."""


class DeadLetterAmbiguous(LookupError):  # noqa: N818 - likewise
    """Several dead letters have an id that starts so."""


def find(connection: sa.Connection, where: DeadLetterFilter = _ANY) -> list[DeadLetterRow]:
    """The dead letters that *where* describes, by the time of their last death."""
    return [DeadLetterRow(**_values(row)) for row in connection.execute(_ordered(_rows(), where)).mappings()]


def heads(connection: sa.Connection, where: DeadLetterFilter = _ANY) -> list[DeadLetterHead]:
    """As `find`, of each what a listing shows: what it holds is not read."""
    return [DeadLetterHead(**_values(row)) for row in connection.execute(_ordered(_heads(), where)).mappings()]


def whole(connection: sa.Connection, ids: Sequence[str]) -> list[DeadLetterRow]:
    """The dead letters of these whole *ids*, oldest death first."""
    wanted = (_rows().where(_LETTER.dead_letter_id.in_(batch)) for batch in batches(ids))
    rows = (DeadLetterRow(**_values(row)) for each in wanted for row in connection.execute(each).mappings())
    return sorted(rows, key=lambda row: (row.at, row.dead_letter_id))


def get(connection: sa.Connection, prefix: str) -> DeadLetterRow:
    """The dead letter whose id starts with *prefix*. Raises DeadLetterNotFound or DeadLetterAmbiguous."""
    found = connection.execute(_rows().where(_starts(prefix)).limit(2)).mappings().all() if prefix else []
    if not found:
        raise DeadLetterNotFound(f"{prefix}: no dead letter has an id that starts so")
    if len(found) > 1:
        raise DeadLetterAmbiguous(f"{prefix}: several dead letters have an id that starts so: give more of it")
    return DeadLetterRow(**_values(found[0]))


def summarise(connection: sa.Connection, where: DeadLetterFilter = _ANY) -> DeadLetterSummary:
    """How many dead letters *where* describes (its limit left aside), since when, of how many causes."""
    columns = (sa.func.count(), sa.func.min(_LETTER.at), sa.func.count(_LETTER.cause.distinct()))
    found = sa.select(*columns).where(_state(where).in_(where.states), *conditions(where))
    return DeadLetterSummary(*connection.execute(found).one())


def unproved(database: Database) -> Unproved:
    """How much is kept that is not proved; what was replayed or discarded made room."""
    columns = sa.func.count(), sa.func.coalesce(sa.func.sum(_LETTER.unproved), 0)
    kept = sa.select(*columns).where(_LETTER.unproved.is_not(None), _LETTER.state.not_in(CLOSED))
    with database.reading() as connection:
        return Unproved(*map(int, connection.execute(kept).one()))


def claim(
    connection: sa.Connection, ids: Sequence[str], *, audit: AuditEntry, lease: timedelta = LEASE, also: States = ()
) -> list[DeadLetterRow]:
    """Take those of the whole *ids* that are free, oldest death first: of two replays at once one gets each.

    A claim older than *lease* is free again; *also* names states that a forced replay opens. The claims carry the id of
    *audit*, which whoever claims has put on record.
    """
    take_changes(connection, 0)
    now = datetime.now(UTC)
    claimed = sa.update(dead_letters).values(
        state=DeadLetterState.CLAIMED, claimed_at=now, claimed_by=audit.actor, audit_id=audit.audit_id
    )
    taken = [
        row.dead_letter_id
        for batch in batches(ids)
        for row in connection.execute(claimed.where(_free(batch, now - lease, also)).returning(_LETTER.dead_letter_id))
    ]
    return whole(connection, taken)


def mark_replayed(connection: sa.Connection, generations: Mapping[str, int]) -> None:
    """Note that claimed dead letters are on their way, by id, as which generation; not of one that died already."""
    first, now, rows = take_changes(connection, len(generations)), datetime.now(UTC), []
    for change, (dead_letter_id, generation) in enumerate(generations.items(), first):
        replayed = (
            sa.update(dead_letters)
            .where(_LETTER.dead_letter_id == dead_letter_id)
            .where(_LETTER.state == DeadLetterState.CLAIMED, _LETTER.replays < generation)
            .values(state=DeadLetterState.REPLAYED, change=change)
            .returning(_LETTER.document)
        )
        for document in connection.execute(replayed).scalars():
            rows += call_row(DeadLetter.model_validate_json(document), State.REPLAYED, now, generation)
    write_rows(connection, calls=rows)


def release(connection: sa.Connection, dead_letter_id: str) -> None:
    """Give a claim back: the dead letter is free for the next replay."""
    take_changes(connection, 0)
    before = sa.case((_LETTER.reason == Reason.GUARD_FLOOD, DeadLetterState.WITHHELD), else_=DeadLetterState.DEAD)
    free = sa.update(dead_letters).values(state=before, claimed_at=None, claimed_by=None)
    mine = sa.and_(_LETTER.dead_letter_id == dead_letter_id, _LETTER.state == DeadLetterState.CLAIMED)
    connection.execute(free.where(mine))


def discard(
    connection: sa.Connection, ids: Sequence[str], *, audit: AuditEntry, lease: timedelta = LEASE, also: States = ()
) -> AuditEntry:
    """Give up what `claim` would take of *ids*: tombstones stay, calls are `discarded`. Return *audit* with a count."""
    count = len(give_up(connection, ids, audit.audit_id, lease, also))
    at = audit.at or datetime.now(UTC)
    done = replace(audit, count=count, result=audit.result or f"{count} discarded", at=at)
    auditing.write(connection, done)
    return done


def give_up(
    connection: sa.Connection, ids: Sequence[str], audit_id: str, lease: timedelta = LEASE, also: States = ()
) -> list[str]:
    """Discard as `discard` does, but put nothing on record; return the ids of what was given up."""
    change, now, gone = take_changes(connection, 1), datetime.now(UTC), list[str]()
    discarded = sa.update(dead_letters).values(
        state=DeadLetterState.DISCARDED, claimed_at=None, claimed_by=None, audit_id=audit_id, change=change
    )
    for batch in batches(ids):
        given_up = discarded.where(_free(batch, now - lease, also)).returning(_LETTER.dead_letter_id, _LETTER.document)
        found = connection.execute(given_up).all()
        letters = [DeadLetter.model_validate_json(document) for _, document in found]
        write_rows(connection, calls=[row for it in letters for row in call_row(it, State.DISCARDED, now)])
        gone += [dead_letter_id for dead_letter_id, _ in found]
    return gone


def _free(ids: Sequence[str], expired: datetime, also: States) -> sa.ColumnElement[bool]:
    lapsed = sa.and_(_LETTER.state == DeadLetterState.CLAIMED, _LETTER.claimed_at < expired)
    return sa.and_(_LETTER.dead_letter_id.in_(ids), sa.or_(_LETTER.state.in_((DeadLetterState.DEAD, *also)), lapsed))


def conditions(where: DeadLetterFilter) -> Iterator[sa.ColumnElement[bool]]:
    """What *where* asks for, its states, order and limit left aside."""
    for name in ("provider", "source", "event_type", "cause"):
        if getattr(where, name) is not None:
            yield _LETTER[name] == getattr(where, name)
    if where.reason is not None:
        leading = where.reason.rstrip(".")
        yield sa.or_(_LETTER.reason == leading, _LETTER.reason.startswith(f"{leading}.", autoescape=True))
    if where.subject:
        yield about(where.subject, dead_letters)
    if where.ids:
        yield sa.or_(*map(_starts, where.ids))
    if where.since is not None:
        yield _LETTER.at >= where.since
    if where.until is not None:
        yield _LETTER.at < where.until
    if where.older_than is not None:
        yield _LETTER.at < datetime.now(UTC) - where.older_than
    yield from _after_page(where)


def _ordered(rows: sa.Select[Any], where: DeadLetterFilter) -> sa.Select[Any]:
    """*rows* in the order of *where*. A page is found state by state, along an index: the rest is not looked at."""
    place = (_LETTER.at, _LETTER.dead_letter_id)
    order = tuple(column.desc() for column in place) if where.newest_first else place
    if where.limit is None:
        return rows.where(_state(where).in_(where.states), *conditions(where)).order_by(*order)
    ids = sa.select(_LETTER.dead_letter_id).where(*conditions(where)).order_by(*order).limit(where.limit)
    found = sa.union_all(*(sa.select(ids.where(_state(where) == state).subquery()) for state in where.states))
    return rows.where(_LETTER.dead_letter_id.in_(found)).order_by(*order).limit(where.limit)


def _state(where: DeadLetterFilter) -> sa.ColumnElement[Any]:
    """The state; of a person's letters in a form that no index has: they are few, and found from the person's name."""
    return _LETTER.state.concat("") if where.subject else _LETTER.state


def _after_page(where: DeadLetterFilter) -> Iterator[sa.ColumnElement[bool]]:
    """What comes behind the last of the page before."""
    if where.behind is not None:
        at, dead_letter_id = where.behind
        place = sa.tuple_(_LETTER.at, _LETTER.dead_letter_id)
        last = sa.tuple_(sa.literal(at, UtcTime), sa.literal(dead_letter_id, Words))
        yield place < last if where.newest_first else place > last


def _starts(prefix: str) -> sa.ColumnElement[bool]:
    """A range, which an index serves: `~` sorts after every character of an id."""
    start = prefix.lower()
    return sa.and_(_LETTER.dead_letter_id >= start, _LETTER.dead_letter_id < f"{start}~")


def _heads() -> sa.Select[Any]:
    names = [name for name in DeadLetterHead.__dataclass_fields__ if name != "call_state"]
    joined = dead_letters.outerjoin(calls, calls.c.call_id == _LETTER.call_id)
    return sa.select(*(_LETTER[name] for name in names), calls.c.state.label("call_state")).select_from(joined)


def _rows() -> sa.Select[Any]:
    whole = _heads().outerjoin(bodies, bodies.c.digest == _LETTER.body)
    return whole.add_columns(_LETTER.document, bodies.c.document.label("arrived"))


def _values(row: sa.RowMapping) -> dict[str, Any]:
    return {
        **row,
        "state": DeadLetterState(row["state"]),
        "detail": json.loads(row["detail"]),
        "call_state": State(row["call_state"]) if row["call_state"] else None,
    }
