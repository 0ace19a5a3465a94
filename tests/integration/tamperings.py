"""What somebody may do to an audit who can write the ledger and does not know its key."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from ledger_records import after, entry
from sqlalchemy import Connection, delete, insert, select, text, update

from worker.database.sqlite import any_text
from worker.database.tables import audit_ends, audit_entries
from worker.ledger import Ledger, Verified, audit_check, retention
from worker.ledger.audit_chain import COVERED
from worker.ledger.audit_check import FaultKind
from worker.ledger.retention import Horizons

LENGTH: Final = 6  # entries of the chains here
WHOLE: Final[Sequence[FaultKind]] = []
COLUMNS: Final = (*COVERED, "mac")
NUMBERS: Final = {"number", "step", "at", "count"}
ENTRY: Final = audit_entries.c
Tampering = Callable[[Connection], object]


def write(ledger: Ledger, *numbers: int) -> None:
    """Write one entry each, of a change of its own."""
    for number in numbers:
        ledger.audit(replace(entry(f"action.{number}"), result=f"result {number}", count=number, at=after(number)))


def kinds(verified: Verified) -> list[FaultKind]:
    """What is wrong."""
    return [fault.kind for fault in verified.faults]


def tampered(ledger: Ledger, *tamperings: Tampering) -> Verified | None:
    """What is found after *tamperings*, of which nothing stays; None where they changed nothing."""
    with ledger.database.engine.connect() as connection, connection.begin() as transaction:
        before = _content(connection)
        for tampering in tamperings:
            tampering(connection)
        found = audit_check.verify(connection) if _content(connection) != before else None
        transaction.rollback()
    return found


def _content(connection: Connection) -> list[Any]:
    with any_text(connection):
        ends = connection.execute(select(audit_ends)).all()
        return [*connection.execute(select(audit_entries).order_by(ENTRY.number)).all(), *ends]


def committed(ledger: Ledger, tampering: Tampering) -> None:
    """Tamper for good."""
    with ledger.database.writing() as connection:
        tampering(connection)


def changed(number: int, column: str, value: object) -> Tampering:
    """Write something else into a column of an entry."""
    return lambda connection: connection.execute(
        update(audit_entries).where(ENTRY.number == number).values({column: value})
    )


def removed(first: int, last: int) -> Tampering:
    """Remove some entries that follow each other."""
    return lambda connection: connection.execute(delete(audit_entries).where(ENTRY.number.between(first, last)))


def swapped(one: int, other: int) -> Tampering:
    """Have two entries change places, with all that they tell."""

    def swap(connection: Connection) -> None:
        for was, will in ((one, -one), (other, one), (-one, other)):
            connection.execute(update(audit_entries).where(ENTRY.number == was).values(number=will))

    return swap


def copied(number: int, to: int) -> Tampering:
    """Insert an entry that is there already in another place; what is there makes room."""

    def copy(connection: Connection) -> None:
        row = connection.execute(select(audit_entries).where(ENTRY.number == number)).mappings().first()
        if row is None:
            return
        later = connection.execute(select(ENTRY.number).where(ENTRY.number >= to).order_by(ENTRY.number.desc()))
        for each in later.scalars().all():
            connection.execute(update(audit_entries).where(ENTRY.number == each).values(number=each + 1))
        connection.execute(insert(audit_entries).values({**row, "number": to}))

    return copy


def ends(**values: object) -> Tampering:
    """Write something else into the ends of the chain."""
    return lambda connection: connection.execute(update(audit_ends).values(values))


def executed(statement: str) -> Tampering:
    """Execute whatever SQL."""
    return lambda connection: connection.execute(text(statement))


def renumbered(connection: Connection) -> None:
    """Remove the second, and close the gap."""
    removed(2, 2)(connection)
    for number in range(3, LENGTH + 1):
        connection.execute(update(audit_entries).where(ENTRY.number == number).values(number=number - 1))


def every_tampering() -> Iterator[tuple[str, Tampering]]:
    """Each entry with each column changed, each range removed, each two swapped, each inserted in each place."""
    places = range(1, LENGTH + 1)
    for number, column in itertools.product(places, COLUMNS):
        value = 77 if column in NUMBERS else "something else"
        yield f"{column} of {number}", changed(number, column, value)
    for first, last in itertools.combinations_with_replacement(places, 2):
        yield f"{first} to {last} removed", removed(first, last)
    for one, other in itertools.combinations(places, 2):
        yield f"{one} and {other} swapped", swapped(one, other)
    for number, to in itertools.product(places, range(LENGTH + 2)):
        yield f"{number} inserted at {to}", copied(number, to)
    for column in ("forgotten", "last", "last_mac", "seal"):
        yield f"ends: {column}", ends(**{column: 3 if column in {"forgotten", "last"} else "0" * 64})
    yield "ends removed", lambda connection: connection.execute(delete(audit_ends))
    yield "numbered anew", renumbered
    yield "all entries removed", removed(0, 99)


def forget(ledger: Ledger, until: float) -> None:
    """Forget the entries that are older."""
    young = after(-1)
    list(retention.forget(ledger.database, Horizons(young, young, after(until), young)))


@contextmanager
def without_audit(ledger: Ledger) -> Iterator[None]:
    """Have no entry be written meanwhile."""
    committed(ledger, executed("ALTER TABLE audit_entries RENAME TO elsewhere"))
    yield
    committed(ledger, executed("ALTER TABLE elsewhere RENAME TO audit_entries"))
