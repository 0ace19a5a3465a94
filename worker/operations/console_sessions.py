"""The sessions of the console as operators see and end them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from worker.ledger import AuditEntry, Ledger, Operator
from worker.ledger.console_sessions import ConsoleSession
from worker.operations import RefusedRequest
from worker.settings.console import ConsoleSettings


def is_over(settings: ConsoleSettings, session: ConsoleSession, now: datetime) -> bool:
    """Whether *session* is too old at *now*, or nobody was at work in it for too long."""
    age, idle = now - session.created, now - session.seen
    return age >= timedelta(seconds=settings.session_length) or idle >= timedelta(seconds=settings.session_idle)


def standing(settings: ConsoleSettings, ledger: Ledger) -> list[ConsoleSession]:
    """Return the sessions that are not over by their age, the newest first. Raises LedgerUnavailable."""
    now = datetime.now(UTC)
    return [each for each in ledger.console_sessions() if not is_over(settings, each, now)]


def chosen(sessions: Sequence[ConsoleSession], ids: Sequence[str], names: Sequence[str]) -> list[ConsoleSession]:
    """Return those of *sessions* that have one of *ids*, or are of one of *names*. Raises RefusedRequest for an id."""
    known = {each.session_id for each in sessions}
    if unknown := [each for each in ids if each not in known]:
        raise RefusedRequest(f"there is no session {unknown[0]}: it may have ended. Nothing was changed")
    return [each for each in sessions if each.session_id in ids or each.name in names]


def end(ledger: Ledger, sessions: Sequence[ConsoleSession], operator: Operator) -> AuditEntry:
    """End *sessions*: the next request of each is refused. Raises LedgerUnavailable."""
    scope = ", ".join(f"{each.name} {each.session_id}" for each in sessions)
    audit = operator.entry("console.sessions.end", scope, len(sessions))
    ledger.end_console_sessions([each.digest for each in sessions], audit)
    return audit
