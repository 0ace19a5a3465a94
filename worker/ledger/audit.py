"""Who changes what, and why: every change of an operator's leaves a line in the audit."""

import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, func

from worker.database.tables import audits
from worker.database.writing import insert_into


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which dead letters, and why. The id is short; the operator gets it."""

    actor: str
    action: str
    scope: str  # the filter or the ids, as given
    reason: str
    count: int = 0
    result: str = ""
    at: datetime | None = None  # None: when it is written
    audit_id: str = field(default_factory=lambda: secrets.token_hex(5))


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks for a change, as `user@host` or as signed in, and why they do."""

    name: str
    reason: str

    def entry(self, action: str, scope: str, count: int = 0) -> AuditEntry:
        """Return a line of the audit, not yet written: this operator did *action* to *count* things of *scope*."""
        return AuditEntry(self.name, action, scope, self.reason, count)


def write(connection: Connection, entry: AuditEntry) -> None:
    """Write *entry*. Written again it takes the new result, and its count is added."""
    insert = insert_into(audits, connection.dialect.name)
    count = audits.c.count + insert.excluded.count
    result = func.coalesce(func.nullif(insert.excluded.result, ""), audits.c.result)
    again = insert.on_conflict_do_update(index_elements=[audits.c.audit_id], set_={"count": count, "result": result})
    connection.execute(again, asdict(entry) | {"at": entry.at or datetime.now(UTC)})
