"""The ledger in PostgreSQL: every transaction under our own terms, on the server that may be written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext

if TYPE_CHECKING:
    import psycopg

CONNECT_TIMEOUT: Final = 5  # seconds
STATEMENT_TIMEOUT: Final = 60  # seconds
# A connection is used no longer than this. Where the address leads to another server by now (a name that resolves
# anew, a proxy, a virtual address) who only reads would never notice that the old one is not the ledger any more.
MAX_CONNECTION_AGE: Final = 20  # seconds

# A server whose machine is gone answers nothing, not even that: without these TCP waits for a quarter of an hour
# (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-KEEPALIVES).
_KEEPALIVES: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
# From its eleventh time on a question would be planned without its values: then that for a tenant's calls, or for those
# in a rare state, takes a second and more (https://www.postgresql.org/docs/current/sql-prepare.html). What is written
# is found by keys, so there planning is worth nothing.
_PLANNED_ANEW: Final = "SET LOCAL plan_cache_mode = force_custom_plan"
# The errors of a server that is the ledger no longer: it became a standby or read-only, recovers, or shuts down
# (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_DEMOTED: Final = frozenset({"25006", "55000", "57P01", "57P02", "57P03", "57P04"})


def open_postgresql(url: URL, lock_timeout: float, *, durable: bool) -> Engine:
    """An engine for the server at *url*, or the one of several that may be written; locks take *lock_timeout* seconds.

    It may be reached through PgBouncer, by sessions or by transactions: nothing is asked for in the start packet but
    what every pooler knows, nothing is prepared there, and the terms are set in each transaction, for that transaction.
    """
    where = {} if "target_session_attrs" in url.query else {"target_session_attrs": "read-write"}
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,  # an error names no row, in a log neither
        pool_pre_ping=True,
        pool_recycle=MAX_CONNECTION_AGE,
        pool_timeout=lock_timeout,
        connect_args={"connect_timeout": CONNECT_TIMEOUT, **where, **_KEEPALIVES},
    )
    event.listen(engine, "connect", _prepare_nothing_behind_a_pooler)
    terms = _terms(lock_timeout, durable=durable)

    @event.listens_for(engine, "begin")
    def _set_terms(connection: Connection) -> None:
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql(terms if writing else f"{terms}; {_PLANNED_ANEW}")

    event.listen(engine, "handle_error", _leave_demoted)
    return engine


def _prepare_nothing_behind_a_pooler(connection: psycopg.Connection, _entry: object) -> None:
    """What is prepared stays with the server's connection, which a pooler hands to others, and others' to us.

    A pooler answers for the server: the process that it names is not the one that serves us. Without a pooler
    preparing is worth it: a batch of records takes a third of the time.
    """
    serving = connection.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    if serving != (connection.info.backend_pid,):
        connection.prepare_threshold = None


def _terms(lock_timeout: float, *, durable: bool) -> str:
    settings: dict[str, Any] = {
        "timezone": "'UTC'",  # in another one the first hours of year 1, or the last of 9999, are no `datetime`
        "lock_timeout": int(lock_timeout * 1000),
        "statement_timeout": STATEMENT_TIMEOUT * 1000,
        # https://www.postgresql.org/docs/current/wal-async-commit.html
        "synchronous_commit": "on" if durable else "off",
    }
    return "; ".join(f"SET LOCAL {name} = {value}" for name, value in settings.items())


def _leave_demoted(context: ExceptionContext) -> None:
    """Have the pool let go of all its connections: the next transaction connects anew."""
    if getattr(context.original_exception, "sqlstate", None) in _DEMOTED:
        context.is_disconnect = True
