"""Causes: an index for them, and the provider's own code in the fingerprints of what is dead already."""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_LETTERS = sa.table(
    "dead_letters",
    *(
        sa.column(name, sa.Text)
        for name in ("dead_letter_id", "kind", "provider", "operation", "reason", "detail", "cause")
    ),
)
_CODES = ("code", "res_code", "data_res_code", "rule", "last")
_BATCH_SIZE = 1000  # dead letters in memory


def upgrade() -> None:
    """Create the index; give letters whose detail has a code the cause that this release gives new ones."""
    connection, last = op.get_bind(), ""
    while rows := connection.execute(_batch(last)).all():
        if changed := [{"id": row.dead_letter_id, "new": cause} for row in rows if (cause := _cause(row))]:
            connection.execute(_renamed(), changed)
        last = rows[-1].dead_letter_id
    columns = ["state", "cause", "at", "dead_letter_id", "first_at", "person", "target"]
    op.create_index("dead_letters_by_cause", "dead_letters", columns)


def _batch(last: str) -> sa.Select[Any]:
    letter = _LETTERS.c
    has_code = sa.or_(*(letter.detail.like(f'%"{name}"%') for name in _CODES))
    return (
        sa.select(_LETTERS)
        .where(letter.dead_letter_id > last, has_code)
        .order_by(letter.dead_letter_id)
        .limit(_BATCH_SIZE)
    )


def _renamed() -> sa.Update:
    return sa.update(_LETTERS).where(_LETTERS.c.dead_letter_id == sa.bindparam("id")).values(cause=sa.bindparam("new"))


def _cause(row: sa.Row[Any]) -> str | None:
    """The cause of a letter by this revision's rule; None where the letter has it already."""
    detail = json.loads(row.detail)
    problem, known = detail.get("problem"), (row.kind, row.provider or "", row.operation or "", row.reason)
    kid = detail.get("kid", "") if problem == "unknown_key" else ""
    codes = [f"{name}={detail[name]}" for name in _CODES if name in detail]
    parts = (*known, problem, kid) if problem else known
    cause = hashlib.sha256("\n".join([*parts, *codes]).encode()).hexdigest()[:6]
    return cause if cause != row.cause else None
