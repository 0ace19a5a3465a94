"""The chain of the audit: each entry carries a MAC over itself and over the MAC of the entry before it.

Who can write the database, and does not know the key of this installation, changes, removes, adds or moves no entry
without a trace. The end is sealed as well, so that one that was cut off is missed. What no database can tell is that
all of it was put back to what it was some time ago: for that, `verify` compares with a head that was kept elsewhere.
"""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, Connection, Text, and_, delete, exists, func, insert, select, type_coerce

from worker.database.sqlite import any_text
from worker.database.tables import audit_ends, audit_entries, audits
from worker.database.writing import insert_into, take_changes
from worker.ledger.audit_mac import Ends, mac_of, stored_ends

logger = logging.getLogger(__name__)

# The values that the MAC of an entry covers, in this order: a column that a later release adds is not among them.
COVERED: Final = (
    "number",
    "before",
    "kind",
    "audit_id",
    "step",
    "at",
    "actor",
    "action",
    "scope",
    "reason",
    "plan",
    "count",
    "result",
)
ENTRY: Final = audit_entries.c
ENTRIES: Final = select(*(ENTRY[name] for name in (*COVERED, "mac"))).order_by(ENTRY.number)
MAX_NUMBER: Final = 2**62  # SQLite keeps any value in any column: what is more, or no number, is none of ours
# What release 0.1.0 wrote. Its times are read as text where they are kept as text: one that is none stops nobody.
EARLIER_AT: Final = type_coerce(audits.c.at, Text)
EARLIER: Final = select(*(each for each in audits.c if each.name != "at"), EARLIER_AT.label("at"))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BROKEN: Final = "the newest entries are not those written last: the ledger was changed, or subject_key is another one"
_WHO: Final = "revoker"  # found out a break; no operator


class EntryKind(StrEnum):
    """How an entry came into the chain."""

    WRITTEN = "written"
    TAKEN_OVER = "taken over"  # as it stood when the chain began: what happened to it before nobody knows
    BREAK = "break"  # whoever wrote next found that the end was not as it was left


def outside() -> ColumnElement[bool]:
    """Whether a row of EARLIER is not in the chain as it stands there."""
    same = and_(*(ENTRY[name] == audits.c[name] for name in ("audit_id", "count", "result")))
    return ~exists().where(same, ENTRY.kind == EntryKind.TAKEN_OVER.value)


def micros(at: datetime) -> int:
    """*at* as the chain writes it: microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment(value: int) -> datetime | None:
    """The time of *value* microseconds since 1970; None where somebody wrote there what is no time."""
    try:
        return _EPOCH + timedelta(microseconds=value)
    except (OverflowError, TypeError):
        return None


def earlier_moment(value: object) -> datetime | None:
    """Return *value* of EARLIER_AT as a time; None where somebody wrote there what is no time."""
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


class Chain:
    """The end of the chain that grows, in a transaction in which writers take turns. `save` writes what was added."""

    def __init__(self, connection: Connection, ends: Ends) -> None:
        self._connection, self._mac = connection, mac_of(connection)
        self._rows: list[dict[str, Any]] = []
        self._saved: Ends | None = ends
        self.ends = ends

    @classmethod
    def open(cls, connection: Connection) -> Self:
        """The chain as it stands; begun where it has not, and with a break where its end is not as it was left."""
        take_changes(connection, 0)
        with any_text(connection):
            stored, newest = stored_ends(connection), _newest(connection)
        if stored is None and newest is None:
            chain = cls(connection, Ends())
            chain.take_over()
            return chain
        ends, is_sealed = stored or (Ends(), False)
        if is_sealed and _is_as_left(ends, newest):
            return cls(connection, ends)
        known = [*([(ends.last, ends.last_mac)] if is_sealed else []), *([newest] if newest else [])]
        forgotten = ends.forgotten if isinstance(ends.forgotten, int) else 0
        chain = cls(connection, Ends(forgotten, *max(known, default=(0, ""))))
        chain.note_break()
        return chain

    def add(self, told: Mapping[str, Any], kind: EntryKind = EntryKind.WRITTEN, step: int = 0) -> None:
        """Add an entry of *kind* with what is *told* of a change: the columns from `audit_id` to `result`."""
        place = {"number": self.ends.last + 1, "before": self.ends.last_mac, "kind": kind.value, "step": step}
        row = {name: _storable(value) for name, value in {**told, **place}.items()}
        mac = self._mac.of_entry([row[name] for name in COVERED])
        self._rows.append({**row, "mac": mac})
        self.ends = replace(self.ends, last=row["number"], last_mac=mac)

    def save(self) -> None:
        """Write what was added, and the ends where they changed."""
        if self._rows:
            self._connection.execute(insert(audit_entries), self._rows)
            self._rows = []
        if self.ends != self._saved:
            values = {**asdict(self.ends), "seal": self._mac.of_ends(self.ends)}
            first = insert_into(audit_ends, self._connection.dialect.name).values(id=1, **values)
            self._connection.execute(first.on_conflict_do_update(index_elements=["id"], set_=values))
            self._saved = self.ends

    def take_over(self) -> None:
        """Begin it with what release 0.1.0 wrote, which stays there for a recorder of 0.1.0 that looks for it.

        What is written or changed there later stands outside.
        """
        self._saved = None
        with any_text(self._connection):
            rows = self._connection.execute(EARLIER.order_by(EARLIER_AT, audits.c.audit_id)).mappings().all()
        for row in rows:
            at = micros(earlier_moment(row["at"]) or _EPOCH)
            self.add({**row, "at": at, "plan": ""}, EntryKind.TAKEN_OVER)

    def note_break(self) -> None:
        """Go on, so that whoever can write the ledger stops no operator; the break is told for as long as it lasts."""
        self._saved = None
        logger.error("audit.broken", extra={"after": self.ends.last})
        told = {"audit_id": new_id(), "at": micros(datetime.now(UTC)), "actor": _WHO, "action": "audit.broken"}
        nothing = dict.fromkeys(("scope", "reason", "plan"), "")
        self.add({**told, **nothing, "count": 0, "result": _BROKEN}, EntryKind.BREAK)


def new_id() -> str:
    """Return the id of a change. It is short; the operator gets it."""
    return secrets.token_hex(5)


def next_step(connection: Connection, audit_id: str) -> int:
    """Return the step of the next entry of the change *audit_id*."""
    newest = select(func.max(ENTRY.step)).where(ENTRY.audit_id == audit_id)
    found: int | None = connection.execute(newest).scalar_one()
    return 0 if found is None else found + 1


def forget_older(connection: Connection, horizon: datetime, limit: int) -> int:
    """Remove at most *limit* of the oldest entries, up to the first that is not older than *horizon*; return how many.

    One that is not as it was written ends it too: it stays, with all that follow, for somebody to see.
    """
    chain, mac = Chain.open(connection), mac_of(connection)
    before = last = chain.ends.forgotten
    with any_text(connection):
        rows = connection.execute(ENTRIES.limit(limit)).all()
    for row in rows:
        covered, written = row[:-1], row[-1]
        if row.number != last + 1 or written != mac.of_entry(covered) or row.at >= micros(horizon):
            break
        last += 1
    connection.execute(delete(audit_entries).where(ENTRY.number > before, ENTRY.number <= last))
    chain.ends = replace(chain.ends, forgotten=last)
    chain.save()
    return last - before


def _newest(connection: Connection) -> tuple[int, str] | None:
    newest = select(ENTRY.number, ENTRY.mac).where(ENTRY.number < MAX_NUMBER).order_by(ENTRY.number.desc())
    found = connection.execute(newest.limit(1)).first()
    return None if found is None else (found.number, str(found.mac))


def _is_as_left(ends: Ends, newest: tuple[int, str] | None) -> bool:
    """Whether *newest* is what was written last; nothing is there where all of it was forgotten by its age."""
    return ends.forgotten == ends.last if newest is None else newest == (ends.last, ends.last_mac)


def _storable(value: Any) -> Any:  # noqa: ANN401 - whatever a column takes
    """Text as both databases give it back: no NUL, and no half of a character."""
    return value.replace("\0", "\ufffd").encode(errors="replace").decode() if isinstance(value, str) else value
