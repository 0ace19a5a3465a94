"""What `explain` asks for: each attempt that failed, and how a provider answered around a moment."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Column, Float, PrimaryKeyConstraint

from worker.database.columns import UtcTime, Words

revision = "0008"
down_revision = "0004"

_BATCH_SIZE = 1000  # dead letters in memory
_LETTERS = sa.table("dead_letters", *(sa.column(name) for name in ("dead_letter_id", "call_id", "replays", "document")))


def upgrade() -> None:
    """Create table and index, and take over the attempts that the dead letters of calls keep."""
    attempts = op.create_table(
        "attempts",
        Column("call_id", Words, nullable=False),
        Column("replays", BigInteger, nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("at", UtcTime, nullable=False),
        Column("reason", Words),
        Column("detail", Words, nullable=False),
        Column("duration_ms", Float),
        PrimaryKeyConstraint("call_id", "replays", "number"),
    )
    is_answer = sa.text("(state = 'accepted' OR state = 'confirmed' OR state = 'already_revoked')")
    columns = ["provider", "state", "at"]
    op.create_index("calls_by_answer", "calls", columns, sqlite_where=is_answer, postgresql_where=is_answer)
    _take_over(op.get_bind(), attempts)


def _take_over(connection: sa.Connection, attempts: sa.Table) -> None:
    last = ""
    while letters := connection.execute(_after(last)).all():
        if rows := [row for letter in letters for row in _attempts(letter)]:
            connection.execute(sa.insert(attempts), rows)
        last = letters[-1].dead_letter_id


def _after(last: str) -> sa.Select[Any]:
    letter = _LETTERS.c
    found = sa.select(_LETTERS).where(letter.dead_letter_id > last, letter.call_id.is_not(None))
    return found.order_by(letter.dead_letter_id).limit(_BATCH_SIZE)


def _attempts(letter: sa.Row[Any]) -> Iterator[dict[str, object]]:
    for number, tried in enumerate(json.loads(letter.document).get("attempts", ()), 1):
        yield {
            "call_id": letter.call_id,
            "replays": letter.replays,
            "number": number,
            "at": datetime.fromisoformat(tried["at"]),
            "reason": tried["reason"],
            "detail": json.dumps(tried.get("detail", {}), sort_keys=True),
            "duration_ms": None,
        }
