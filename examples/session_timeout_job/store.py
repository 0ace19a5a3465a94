"""The application's sessions and the outbox beside them, in SQL that SQLite and PostgreSQL both understand."""

import time
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, create_engine, text

from session_timeout_job.events import IdleSession, Outgoing

BATCH = 100  # sessions in one transaction, events published before they are forgotten

IDLE = text(
    "SELECT id, email, provider, token, expires_at FROM sessions"
    " WHERE ended_at IS NULL AND last_used_at <= :used_until ORDER BY id LIMIT :batch"
)
# Somebody may have come back meanwhile, and another job may have been quicker: then it changes no row.
END = text("UPDATE sessions SET ended_at = :now WHERE id = :id AND ended_at IS NULL AND last_used_at <= :used_until")
PUT = text(
    "INSERT INTO outbox (event_id, type, body, signature, created_at)"
    " VALUES (:event_id, :type, :body, :signature, :created_at)"
)
WAITING = text(
    "SELECT event_id, type, body, signature, created_at FROM outbox ORDER BY created_at, event_id LIMIT :batch"
)
FORGET = text("DELETE FROM outbox WHERE event_id = :event_id")


class Store:
    """The database at *url*. An error of it shows no parameter, because tokens are among them."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, hide_parameters=True)

    def end_idle(self, seconds: int, event_of: Callable[[IdleSession], Outgoing]) -> int:
        """End the sessions that were not used for *seconds*, each with its event in the outbox; return how many."""
        used_until, ended = int(time.time()) - seconds, 0
        while idle := self._idle(used_until):
            with self._engine.begin() as transaction:
                ended += sum(_end(transaction, each, used_until, event_of) for each in idle)
        return ended

    def waiting(self) -> list[Outgoing]:
        """Return events of the outbox, the oldest first."""
        with self._engine.connect() as connection:
            return [Outgoing(*row) for row in connection.execute(WAITING, {"batch": BATCH})]

    def forget(self, confirmed: Sequence[Outgoing]) -> None:
        """Take events out of the outbox."""
        with self._engine.begin() as transaction:
            transaction.execute(FORGET, [{"event_id": each.event_id} for each in confirmed])

    def close(self) -> None:
        """Let the database go."""
        self._engine.dispose()

    def _idle(self, used_until: int) -> list[IdleSession]:
        with self._engine.connect() as connection:
            rows = connection.execute(IDLE, {"used_until": used_until, "batch": BATCH})
            return [IdleSession(*row) for row in rows]


def _end(
    transaction: Connection, session: IdleSession, used_until: int, event_of: Callable[[IdleSession], Outgoing]
) -> bool:
    """End one session in *transaction*, with its event; return whether it was still idle."""
    found = transaction.execute(END, {"now": int(time.time()), "id": session.id, "used_until": used_until})
    if found.rowcount == 0:
        return False
    event = event_of(session)
    transaction.execute(PUT, {name: getattr(event, name) for name in Outgoing.__slots__})
    return True
