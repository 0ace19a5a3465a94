"""Who changed what, and why."""

from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import Connection, func

from worker.database.tables import audits
from worker.database.writing import insert_into
from worker.ledger.rows import AuditEntry


def write(connection: Connection, entry: AuditEntry) -> None:
    """Write *entry*. Written again it takes the new result, and its count is added."""
    insert = insert_into(audits, connection.dialect.name)
    count = audits.c.count + insert.excluded.count
    result = func.coalesce(func.nullif(insert.excluded.result, ""), audits.c.result)
    again = insert.on_conflict_do_update(index_elements=[audits.c.audit_id], set_={"count": count, "result": result})
    connection.execute(again, asdict(entry) | {"at": entry.at or datetime.now(UTC)})
