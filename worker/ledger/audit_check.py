"""Whether the audit is still what was written: every entry, its place, and both ends."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, func, select

from worker.database.sqlite import any_text
from worker.ledger.audit_chain import EARLIER, ENTRIES, EntryKind, outside
from worker.ledger.audit_mac import Ends, mac_of, stored_ends

PAGE: Final = 2000  # entries in memory
NAMED: Final = 20  # faults that are told one by one
_HEAD: Final = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", re.ASCII)


class FaultKind(StrEnum):
    """What is wrong with the audit."""

    CHANGED = "changed, or moved from another place"
    MISSING = "missing"
    INSERTED = "inserted before the first or behind the last"
    UNLINKED = "not written after the one before it: it is of another copy of the ledger"
    BREAK = "written after somebody changed the end of the chain, or with another subject_key"
    ENDS = "the seal of the ends of the chain does not fit: somebody changed it, or subject_key is another one"
    HEAD = "not the entry whose head was kept: the ledger was put back to an older state"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the entries from number *first* to *last*; None: with none in particular."""

    kind: FaultKind
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry: whoever keeps it elsewhere finds out that the whole ledger was put back."""

    number: int
    mac: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the head that `str` made *text* of. Raises ValueError for any other text."""
        match = _HEAD.fullmatch(text)
        if match is None:
            raise ValueError("a head looks like 1214:9f2c…, with 64 hex digits, as `audit verify` prints it")
        return cls(int(match[1]), match[2])

    def __str__(self) -> str:
        return f"{self.number}:{self.mac}"


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of looking at every entry."""

    entries: int
    head: Head | None  # None: there is none, or it cannot be trusted
    taken_over: int  # of release 0.1.0, as they stood when the chain began
    outside: int  # written by release 0.1.0, or by whoever, without the chain
    fault_count: int
    faults: tuple[Fault, ...]  # the first NAMED
    is_kept_forgotten: bool = False  # the entry of the head that was kept is gone by its age: nothing can be said


def length(connection: Connection) -> int:
    """Return how many entries the chain should have."""
    with any_text(connection):
        ends, is_sealed = stored_ends(connection) or (Ends(), False)
    return ends.last - ends.forgotten if is_sealed else 0


def verify(
    connection: Connection, kept: Head | None = None, progress: Callable[[int], object] = lambda _: None
) -> Verified:
    """Look at every entry, and whether that of the head *kept* is among them; *progress* takes how many were read."""
    with any_text(connection):
        check = _Check(connection, kept)
        for page in connection.execute(ENTRIES, execution_options={"yield_per": PAGE}).partitions():
            for row in page:
                check.take(row)
            progress(len(page))
    beside = select(func.count()).select_from(EARLIER.where(outside()).subquery())
    return check.finish(connection.execute(beside).scalar_one())


@dataclass(slots=True)
class _Before:
    """The entry that was looked at last."""

    number: int | None  # None: it is not known where the chain begins
    mac: str = ""
    is_true: bool = False


@dataclass(slots=True)
class _Found:
    entries: int = 0
    taken_over: int = 0
    fault_count: int = 0
    faults: list[Fault] = field(default_factory=list)
    has_kept: bool = False

    def fault(self, kind: FaultKind, first: int | None = None, last: int | None = None) -> None:
        """Note a fault."""
        self.fault_count += 1
        if len(self.faults) < NAMED:
            self.faults.append(Fault(kind, first, first if last is None else last))


class _Check:
    def __init__(self, connection: Connection, kept: Head | None) -> None:
        self._mac, self._kept = mac_of(connection), kept
        stored = stored_ends(connection)
        self._has_begun = stored is not None
        self._ends = stored[0] if stored and stored[1] else None  # None: there are none that can be trusted
        self._before = _Before(self._ends.forgotten if self._ends else None)
        self._found = _Found()

    def take(self, row: Row[Any]) -> None:
        """Look at the next entry, in the order of their numbers."""
        covered, written = row[:-1], row[-1]
        found, before = self._found, self._before
        found.entries += 1
        if not isinstance(row.number, int) or (before.number is not None and row.number <= before.number):
            found.fault(FaultKind.INSERTED, row.number if isinstance(row.number, int) else None)
            return
        is_true = written == self._mac.of_entry(covered)
        self._judge(row, before, is_true=is_true)
        self._look_for_kept(row, written)
        self._before = _Before(row.number, written, is_true)

    def _judge(self, row: Row[Any], before: _Before, *, is_true: bool) -> None:
        has_gap = before.number is not None and row.number > before.number + 1
        if before.number is not None and has_gap:
            self._found.fault(FaultKind.MISSING, before.number + 1, row.number - 1)
        if not is_true:
            self._found.fault(FaultKind.CHANGED, row.number)
        elif before.is_true and not has_gap and row.before != before.mac:
            self._found.fault(FaultKind.UNLINKED, row.number)
        elif row.kind == EntryKind.BREAK:
            self._found.fault(FaultKind.BREAK, row.number)
        self._found.taken_over += is_true and row.kind == EntryKind.TAKEN_OVER

    def _look_for_kept(self, row: Row[Any], written: str) -> None:
        if self._kept and row.number == self._kept.number:
            self._found.has_kept = True
            if written != self._kept.mac:
                self._found.fault(FaultKind.HEAD, row.number)

    def finish(self, outside: int) -> Verified:
        """What came of it, *outside* being how many entries stand outside the chain."""
        found, ends, before = self._found, self._ends, self._before
        if ends is None and (self._has_begun or found.entries):
            found.fault(FaultKind.ENDS)
        if ends is not None:
            self._judge_end(ends, before)
        is_forgotten = bool(self._kept and ends and self._kept.number <= ends.forgotten)
        if self._kept and not found.has_kept and not is_forgotten:
            found.fault(FaultKind.HEAD, self._kept.number)
        head = Head(ends.last, ends.last_mac) if ends and ends.last else None
        counts = (found.taken_over, outside, found.fault_count, tuple(found.faults))
        return Verified(found.entries, head, *counts, is_kept_forgotten=is_forgotten)

    def _judge_end(self, ends: Ends, before: _Before) -> None:
        number = before.number or 0
        if number < ends.last:
            self._found.fault(FaultKind.MISSING, number + 1, ends.last)
        elif number > ends.last:
            self._found.fault(FaultKind.INSERTED, ends.last + 1, number)
        elif before.is_true and before.mac != ends.last_mac:
            self._found.fault(FaultKind.UNLINKED, number)
