"""The signals of a stream in the ledger's database: encrypted, in their order, until the receiver has taken them."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, delete, func, select

from worker.database.cipher import RowCipher
from worker.database.tables import door_signals
from worker.database.writing import insert_into

logger = logging.getLogger(__name__)

_ROW: Final = door_signals.c
_PLACE: Final = "signals"


@dataclass(frozen=True, slots=True)
class DoorSignals:
    """Those of *door*, in the transaction of *connection*."""

    connection: Connection
    cipher: RowCipher
    door: str

    def keep(self, jti: str, token: str) -> None:
        """Keep *token* behind the others, once."""
        insert = insert_into(door_signals, self.connection.dialect.name)
        sealed = self.cipher.seal(token.encode(), f"{_PLACE} {self.door}")
        row = insert.values(door=self.door, jti=jti, sealed=sealed, at=datetime.now(UTC))
        self.connection.execute(row.on_conflict_do_nothing(index_elements=["door", "jti"]))

    def first(self, count: int) -> dict[str, str]:
        """Return the *count* that were kept first, by their `jti`, in their order."""
        wanted = select(_ROW.jti, _ROW.sealed).where(_ROW.door == self.door).order_by(_ROW.number).limit(count)
        rows = self.connection.execute(wanted).all()
        return {jti: self.cipher.open(sealed, f"{_PLACE} {self.door}").decode() for jti, sealed in rows}

    def count(self) -> int:
        """Return how many there are."""
        counted = select(func.count()).select_from(door_signals).where(_ROW.door == self.door)
        return int(self.connection.execute(counted).scalar_one())

    def drop(self, jtis: list[str]) -> None:
        """Forget those that the receiver has taken."""
        if jtis:
            self.connection.execute(delete(door_signals).where(_ROW.door == self.door, _ROW.jti.in_(jtis)))

    def refused(self, jti: str, code: str) -> None:
        """Forget one that the receiver will never take, and say so."""
        gone = self.connection.execute(delete(door_signals).where(_ROW.door == self.door, _ROW.jti == jti))
        if gone.rowcount:
            logger.error("signals.refused", extra={"door": self.door, "jti": jti, "code": code})
