"""Who changed what on the operators' desk, and why."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from worker.database.tables import audits
from worker.ledger import upserts
from worker.ledger.rows import AuditEntry

if TYPE_CHECKING:
    from sqlalchemy import Connection


def write(connection: Connection, entry: AuditEntry) -> str:
    """The id of *entry*, now written. Written again it takes the new result, and its count is added."""
    row = asdict(entry) | {"at": entry.at or datetime.now(UTC)}
    connection.execute(upserts.audit(connection.dialect.name), row)
    return entry.audit_id


def latest(connection: Connection, limit: int) -> list[AuditEntry]:
    """The last *limit* entries, newest first."""
    query = select(audits).order_by(audits.c.at.desc(), audits.c.audit_id).limit(limit)
    return [AuditEntry(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public way
