"""The accounts of a door in the ledger's database: names encrypted, and found by keyed digests."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from unicodedata import normalize

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, select
from sqlalchemy.exc import IntegrityError

from tasks.doors.accounts import Account, NameTaken
from worker.database.cipher import RowCipher
from worker.database.tables import door_accounts
from worker.database.writing import insert_into

_ROW: Final = door_accounts.c
_CHANGING: Final = ("name", "known_as", "sealed", "active", "version", "changed")
_IN_MEMORY: Final = 500  # rows


@dataclass(frozen=True, slots=True)
class DoorAccounts:
    """Those of *door*, in the transaction of *connection*."""

    connection: Connection
    cipher: RowCipher
    door: str

    def get(self, account_id: str) -> Account | None:
        """Return the account of this id."""
        return self._one(_ROW.account_id == account_id)

    def named(self, user_name: str) -> Account | None:
        """Return the account of this user name, in whatever capitals."""
        return self._one(_ROW.name == self._digest("name", _folded(user_name)))

    def known_as(self, external_id: str) -> list[Account]:
        """Return the accounts that the directory knows by this id."""
        rows = self.connection.execute(self._wanted(_ROW.known_as == self._digest("known_as", external_id)))
        return [*map(self._account, rows)]

    def count(self) -> int:
        """Return how many there are."""
        return int(self.connection.execute(select(func.count()).where(_ROW.door == self.door)).scalar_one())

    def all(self) -> Iterator[Account]:
        """Return every account, by its age."""
        for row in self.connection.execute(self._wanted(), execution_options={"yield_per": _IN_MEMORY}):
            yield self._account(row)

    def put(self, account: Account) -> None:
        """Keep *account*, in place of what has its id. Raises NameTaken."""
        insert = insert_into(door_accounts, self.connection.dialect.name)
        new = {name: insert.excluded[name] for name in _CHANGING}
        statement = insert.on_conflict_do_update(index_elements=["door", "account_id"], set_=new)
        try:
            with self.connection.begin_nested():
                self.connection.execute(statement, [self._row(account)])
        except IntegrityError:
            raise NameTaken from None

    def remove(self, account_id: str) -> None:
        """Forget the account of this id."""
        self.connection.execute(delete(door_accounts).where(_ROW.door == self.door, _ROW.account_id == account_id))

    def _one(self, which: ColumnElement[bool]) -> Account | None:
        row = self.connection.execute(self._wanted(which)).one_or_none()
        return None if row is None else self._account(row)

    def _wanted(self, *which: ColumnElement[bool]) -> Select[Any]:
        return select(door_accounts).where(_ROW.door == self.door, *which).order_by(_ROW.created, _ROW.account_id)

    def _account(self, row: Row[Any]) -> Account:
        user_name, external_id = json.loads(self.cipher.open(row.sealed, self._place(row.account_id)))
        return Account(
            row.account_id, user_name, external_id, row.active, row.version, created=row.created, changed=row.changed
        )

    def _row(self, account: Account) -> dict[str, Any]:
        names = json.dumps([account.user_name, account.external_id]).encode()
        known_as = account.external_id
        return {
            "door": self.door,
            "account_id": account.account_id,
            "name": self._digest("name", _folded(account.user_name)),
            "known_as": None if known_as is None else self._digest("known_as", known_as),
            "sealed": self.cipher.seal(names, self._place(account.account_id)),
            "active": account.is_active,
            "version": account.version,
            "created": account.created,
            "changed": account.changed,
        }

    def _digest(self, what: str, value: str) -> bytes:
        return self.cipher.digest(normalize("NFC", value).encode(), f"accounts {self.door} {what}")

    def _place(self, account_id: str) -> str:
        return f"account {self.door} {account_id}"


def _folded(user_name: str) -> str:
    """In the one spelling of all its capitals: a user name is not case-exact (RFC 7643 section 4.1.1)."""
    return normalize("NFC", normalize("NFC", user_name).lower())
