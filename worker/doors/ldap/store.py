"""What is kept of a directory in the ledger's database: its people, how far it was read, and whether it is held."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, func, select, update

from tasks.doors.ldap.people import Known, Names
from worker.database.cipher import DIGEST_SIZE, RowCipher
from worker.database.tables import directories, directory_people
from worker.database.writing import insert_into

_PERSON: Final = directory_people.c
_DIRECTORY: Final = directories.c
_AT_ONCE: Final = 500  # digests in one question
_CHANGING: Final = ("sealed", "active", "gone", "marker", "ordinal")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a directory stands."""

    cursor: str | None
    held_people: frozenset[bytes] = frozenset()
    is_released: bool = False
    held_why: str | None = None


@dataclass(frozen=True, slots=True)
class KnownRow:
    """Somebody known."""

    person: bytes  # digest
    known: Known
    sealed: bytes


@dataclass(frozen=True, slots=True)
class DirectoryStore:
    """That of *door*, in the transaction of *connection*."""

    connection: Connection
    cipher: RowCipher
    door: str

    def digest(self, person_id: str) -> bytes:
        """Return the digest by which somebody is found."""
        return self.cipher.digest(bytes.fromhex(person_id), f"people {self.door}")

    def take_turn(self) -> None:
        """Let no other process change this directory until the transaction ends."""
        insert = insert_into(directories, self.connection.dialect.name)
        self.connection.execute(insert.on_conflict_do_nothing(index_elements=["door"]), [{"door": self.door}])
        self.connection.execute(select(_DIRECTORY.door).where(_DIRECTORY.door == self.door).with_for_update())

    def standing(self) -> Standing:
        """Return how the directory stands."""
        row = self.connection.execute(select(directories).where(_DIRECTORY.door == self.door)).one_or_none()
        if row is None:
            return Standing(None)
        cursor = None if row.cursor is None else self.cipher.open(row.cursor, f"cursor {self.door}").decode()
        return Standing(cursor, _split(row.held_people), row.released_at is not None, row.held_why)

    def known(self, people: Iterable[bytes]) -> dict[bytes, KnownRow]:
        """Return those of *people*, by digest."""
        asked = [*people]
        found: dict[bytes, KnownRow] = {}
        for at in range(0, len(asked), _AT_ONCE):
            found |= {each.person: each for each in self._rows(_PERSON.person.in_(asked[at : at + _AT_ONCE]))}
        return found

    def everybody(self) -> dict[bytes, KnownRow]:
        """Return all, by digest."""
        return {each.person: each for each in self._rows()}

    def opened(self, row: KnownRow) -> tuple[str, Names]:
        """Return the directory's id of somebody, and their names."""
        person_id, user, subject = json.loads(self.cipher.open(row.sealed, self._place(row.person)))
        return person_id, Names(user, subject)

    def put(self, people: Sequence[tuple[str, Known, Names]]) -> None:
        """Keep *people* as they are known now."""
        if not people:
            return
        insert = insert_into(directory_people, self.connection.dialect.name)
        new = {name: insert.excluded[name] for name in _CHANGING}
        statement = insert.on_conflict_do_update(index_elements=["door", "person"], set_=new)
        self.connection.execute(statement, [self._values(*each) for each in people])

    def move(self, cursor: str | None, at: datetime) -> None:
        """Have the next changes begin at *cursor*; nothing is held any more."""
        sealed = None if cursor is None else self.cipher.seal(cursor.encode(), f"cursor {self.door}")
        self._set(cursor=sealed, read_at=at, held_at=None, held_why=None, held_people=None, released_at=None)

    def hold(self, why: str, people: Iterable[bytes], at: datetime) -> None:
        """Hold the directory until an operator releases it, or until it says something else."""
        since = func.coalesce(_DIRECTORY.held_at, at)
        self._set(held_at=since, held_why=why, held_people=b"".join(sorted(people)), released_at=None)

    def forget_cursor(self) -> None:
        """Have the next changes be all there is."""
        self._set(cursor=None)

    def _set(self, **values: Any) -> None:  # noqa: ANN401 - of columns
        self.connection.execute(update(directories).where(_DIRECTORY.door == self.door).values(**values))

    def _rows(self, *which: ColumnElement[bool]) -> Iterator[KnownRow]:
        for row in self.connection.execute(select(directory_people).where(_PERSON.door == self.door, *which)):
            yield _known(row)

    def _values(self, person_id: str, known: Known, names: Names) -> Mapping[str, Any]:
        person = self.digest(person_id)
        kept = [person_id, "", None] if known.is_gone else [person_id, names.user, names.subject]
        return {
            "door": self.door,
            "person": person,
            "sealed": self.cipher.seal(json.dumps(kept).encode(), self._place(person)),
            "active": known.is_active,
            "gone": known.is_gone,
            "marker": known.marker,
            "ordinal": known.ordinal,
        }

    def _place(self, person: bytes) -> str:
        return f"person {self.door} {person.hex()}"


def _known(row: Row[Any]) -> KnownRow:
    return KnownRow(row.person, Known(row.active, row.marker, row.ordinal, row.gone), row.sealed)


def _split(people: bytes | None) -> frozenset[bytes]:
    whole = people or b""
    return frozenset(whole[at : at + DIGEST_SIZE] for at in range(0, len(whole), DIGEST_SIZE))
