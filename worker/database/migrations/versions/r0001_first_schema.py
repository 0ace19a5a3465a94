"""The first schema: events, subjects, calls, dead letters, audits, and the clock that numbers changes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create everything, in the order in which a message meets it."""
    _create_clock()
    _create_events()
    _create_subjects()
    _create_calls()
    _create_dead_letters()
    _create_audits()
    _create_indexes()


def _create_clock() -> None:
    clock = op.create_table(
        "clock",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(clock, [{"id": 1, "value": 0}])


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("source", WORDS, primary_key=True),
        sa.Column("event_id", WORDS, primary_key=True),
        sa.Column("event_type", WORDS, nullable=False),
        sa.Column("subject", WORDS, nullable=False),
        sa.Column("occurred_at", TIME, nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("change", sa.BigInteger, nullable=False),
    )


def _create_subjects() -> None:
    op.create_table(
        "subjects",
        sa.Column("lookup_hash", WORDS, primary_key=True),
        sa.Column("source", WORDS, primary_key=True),
        sa.Column("event_id", WORDS, primary_key=True),
    )


def _create_calls() -> None:
    op.create_table(
        "calls",
        sa.Column("call_id", WORDS, primary_key=True),
        sa.Column("source", WORDS, nullable=False),
        sa.Column("event_id", WORDS, nullable=False),
        sa.Column("event_type", WORDS, nullable=False),
        sa.Column("provider", WORDS, nullable=False),
        sa.Column("operation", WORDS),
        sa.Column("subject", WORDS, nullable=False),
        sa.Column("occurred_at", TIME, nullable=False),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("reason", WORDS),
        sa.Column("detail", WORDS, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("replays", sa.BigInteger, nullable=False),
        sa.Column("at", TIME),
        sa.Column("duration_ms", sa.Float),
        sa.Column("next_attempt_at", TIME),
        sa.Column("exposure_seconds", sa.Float),
        sa.Column("rank", WORDS, nullable=False),
        sa.Column("change", sa.BigInteger, nullable=False),
    )


def _create_dead_letters() -> None:
    op.create_table("dead_letters", *_what_died(), *_how_it_stands())


def _what_died() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("dead_letter_id", WORDS, primary_key=True),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("call_id", WORDS),
        sa.Column("source", WORDS),
        sa.Column("event_id", WORDS),
        sa.Column("event_type", WORDS),
        sa.Column("provider", WORDS),
        sa.Column("operation", WORDS),
        sa.Column("subject", WORDS),
        sa.Column("occurred_at", TIME),
    )


def _how_it_stands() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("state", WORDS, nullable=False),
        sa.Column("reason", WORDS, nullable=False),
        sa.Column("first_reason", WORDS, nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("cause", WORDS, nullable=False),
        sa.Column("detail", WORDS, nullable=False),
        sa.Column("tries", sa.BigInteger, nullable=False),
        sa.Column("replays", sa.BigInteger, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("claimed_at", TIME),
        sa.Column("claimed_by", WORDS),
        sa.Column("audit_id", WORDS),
        sa.Column("document", WORDS, nullable=False),
        sa.Column("rank", WORDS, nullable=False),
        sa.Column("first_rank", WORDS, nullable=False),
        sa.Column("change", sa.BigInteger, nullable=False),
    )


def _create_audits() -> None:
    op.create_table(
        "audits",
        sa.Column("audit_id", WORDS, primary_key=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", WORDS, nullable=False),
        sa.Column("action", WORDS, nullable=False),
        sa.Column("scope", WORDS, nullable=False),
        sa.Column("reason", WORDS, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("result", WORDS, nullable=False),
    )


INDEXES = (
    ("events_by_event_id", "events", ["event_id"]),
    ("events_by_change", "events", ["change"]),
    ("calls_by_event", "calls", ["event_id", "source"]),
    ("calls_by_state", "calls", ["state"]),
    ("calls_by_change", "calls", ["change"]),
    ("dead_letters_by_call", "dead_letters", ["call_id"]),
    ("dead_letters_by_event", "dead_letters", ["event_id", "source"]),
    ("dead_letters_by_state", "dead_letters", ["state", "at"]),
    ("dead_letters_by_change", "dead_letters", ["change"]),
    ("audits_by_time", "audits", ["at"]),
)


def _create_indexes() -> None:
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
