"""The first schema, of release 0.1.0."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, LargeBinary, PrimaryKeyConstraint, column, table

from worker.database.columns import UtcTime, Words

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table, and set the clock to 0."""
    for create in (
        _audits,
        _bodies,
        _calls,
        _clock,
        _dead_letters,
        _events,
        _floods,
        _holds,
        _key_uses,
        _limits,
        _passed,
        _seen_events,
        _subjects,
    ):
        create()
    op.bulk_insert(table("clock", column("id"), column("value")), [{"id": 1, "value": 0}])


def _audits() -> None:
    op.create_table(
        "audits",
        Column("audit_id", Words, nullable=False),
        Column("at", UtcTime, nullable=False),
        Column("actor", Words, nullable=False),
        Column("action", Words, nullable=False),
        Column("scope", Words, nullable=False),
        Column("reason", Words, nullable=False),
        Column("count", BigInteger, nullable=False),
        Column("result", Words, nullable=False),
        PrimaryKeyConstraint("audit_id"),
    )
    op.create_index("audits_by_time", "audits", ["at"])


def _bodies() -> None:
    op.create_table(
        "bodies",
        Column("digest", LargeBinary, nullable=False),
        Column("document", Words, nullable=False),
        PrimaryKeyConstraint("digest"),
    )


def _calls() -> None:
    op.create_table(
        "calls",
        Column("call_id", Words, nullable=False),
        Column("source", Words, nullable=False),
        Column("event_id", Words, nullable=False),
        Column("event_type", Words, nullable=False),
        Column("provider", Words, nullable=False),
        Column("operation", Words),
        Column("subject", Words, nullable=False),
        Column("occurred_at", UtcTime, nullable=False),
        Column("state", Words, nullable=False),
        Column("reason", Words),
        Column("detail", Words, nullable=False),
        Column("attempt", BigInteger, nullable=False),
        Column("replays", BigInteger, nullable=False),
        Column("at", UtcTime),
        Column("duration_ms", Float),
        Column("next_attempt_at", UtcTime),
        Column("exposure_seconds", Float),
        Column("rank", Words, nullable=False),
        Column("change", BigInteger, nullable=False),
        Column("kid", Words),
        Column("target", Words),
        Column("person", Words),
        PrimaryKeyConstraint("call_id"),
    )
    op.create_index("calls_by_change", "calls", ["change"])
    op.create_index("calls_by_event", "calls", ["event_id", "source"])
    op.create_index("calls_by_person", "calls", ["person"])
    op.create_index("calls_by_state", "calls", ["state", "at"])
    op.create_index("calls_by_target", "calls", ["target"])


def _clock() -> None:
    op.create_table(
        "clock",
        Column("id", BigInteger, autoincrement=False, nullable=False),
        Column("value", BigInteger, nullable=False),
        PrimaryKeyConstraint("id"),
    )


def _dead_letters() -> None:
    op.create_table(
        "dead_letters",
        Column("dead_letter_id", Words, nullable=False),
        Column("kind", Words, nullable=False),
        Column("call_id", Words),
        Column("source", Words),
        Column("event_id", Words),
        Column("event_type", Words),
        Column("provider", Words),
        Column("operation", Words),
        Column("subject", Words),
        Column("occurred_at", UtcTime),
        Column("state", Words, nullable=False),
        Column("reason", Words, nullable=False),
        Column("first_reason", Words, nullable=False),
        Column("first_at", UtcTime, nullable=False),
        Column("cause", Words, nullable=False),
        Column("detail", Words, nullable=False),
        Column("tries", BigInteger, nullable=False),
        Column("replays", BigInteger, nullable=False),
        Column("at", UtcTime, nullable=False),
        Column("claimed_at", UtcTime),
        Column("claimed_by", Words),
        Column("audit_id", Words),
        Column("document", Words, nullable=False),
        Column("rank", Words, nullable=False),
        Column("first_rank", Words, nullable=False),
        Column("change", BigInteger, nullable=False),
        Column("target", Words),
        Column("person", Words),
        Column("body", LargeBinary),
        Column("is_replayable", Boolean, nullable=False),
        Column("unproved", BigInteger),
        PrimaryKeyConstraint("dead_letter_id"),
    )
    op.create_index("dead_letters_by_body", "dead_letters", ["body"])
    op.create_index("dead_letters_by_call", "dead_letters", ["call_id"])
    op.create_index("dead_letters_by_change", "dead_letters", ["change"])
    op.create_index("dead_letters_by_event", "dead_letters", ["event_id", "source"])
    op.create_index("dead_letters_by_state", "dead_letters", ["state", "at", "dead_letter_id"])
    op.create_index("dead_letters_unproved", "dead_letters", ["unproved", "state"])


def _events() -> None:
    op.create_table(
        "events",
        Column("source", Words, nullable=False),
        Column("event_id", Words, nullable=False),
        Column("event_type", Words, nullable=False),
        Column("subject", Words, nullable=False),
        Column("occurred_at", UtcTime, nullable=False),
        Column("received_at", UtcTime, nullable=False),
        Column("change", BigInteger, nullable=False),
        PrimaryKeyConstraint("source", "event_id"),
    )
    op.create_index("events_by_age", "events", ["received_at"])
    op.create_index("events_by_change", "events", ["change"])
    op.create_index("events_by_event_id", "events", ["event_id"])


def _floods() -> None:
    op.create_table(
        "floods",
        Column("source", Words, nullable=False),
        Column("event_type", Words, nullable=False),
        Column("opened_at", Float, nullable=False),
        Column("reserve_at", Float, nullable=False),
        PrimaryKeyConstraint("source", "event_type"),
    )


def _holds() -> None:
    op.create_table(
        "holds",
        Column("provider", Words, nullable=False),
        Column("scope", Words, nullable=False),
        Column("opened_by", Words, nullable=False),
        Column("source", Words, nullable=False),
        Column("owner", Words, nullable=False),
        Column("reason", Words, nullable=False),
        Column("since", UtcTime, nullable=False),
        Column("until", UtcTime, nullable=False),
        Column("failed_probes", BigInteger, nullable=False),
        Column("version", BigInteger, nullable=False),
        PrimaryKeyConstraint("provider", "scope", "opened_by", "source"),
    )


def _key_uses() -> None:
    op.create_table(
        "key_uses",
        Column("kid", Words, nullable=False),
        Column("last_used", UtcTime, nullable=False),
        PrimaryKeyConstraint("kid"),
    )


def _limits() -> None:
    op.create_table(
        "limits",
        Column("fingerprint", Words, nullable=False),
        Column("record", Words, nullable=False),
        PrimaryKeyConstraint("fingerprint"),
    )


def _passed() -> None:
    op.create_table(
        "passed",
        Column("number", BigInteger().with_variant(Integer(), "sqlite"), nullable=False),
        Column("source", Words, nullable=False),
        Column("event_type", Words, nullable=False),
        Column("hash", Words, nullable=False),
        Column("at", Float, nullable=False),
        PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )


def _seen_events() -> None:
    op.create_table(
        "seen_events",
        Column("identity", LargeBinary, nullable=False),
        Column("content", LargeBinary, nullable=False),
        Column("event_type", Words, nullable=False),
        Column("occurred_at", UtcTime, nullable=False),
        Column("published", Boolean, nullable=False),
        PrimaryKeyConstraint("identity"),
    )
    op.create_index("seen_events_by_age", "seen_events", ["event_type", "occurred_at"])


def _subjects() -> None:
    op.create_table(
        "subjects",
        Column("lookup_hash", Words, nullable=False),
        Column("source", Words, nullable=False),
        Column("event_id", Words, nullable=False),
        PrimaryKeyConstraint("lookup_hash", "source", "event_id"),
    )
    op.create_index("subjects_by_event", "subjects", ["event_id", "source"])
