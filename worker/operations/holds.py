"""Holds as operators see, place and release them."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from worker.calls.holds import store
from worker.calls.holds.hold import Hold, OpenedBy, Scope
from worker.ledger import AuditEntry, Ledger, Operator
from worker.operations.text import short_duration


def in_force(ledger: Ledger) -> list[Hold]:
    """Return the holds that stand and are not over. Raises LedgerUnavailable."""
    now = datetime.now(UTC)
    return [each for each in store.standing(ledger.database) if each.is_probed or each.until > now]


def planned(provider: str, scope: Scope, span: timedelta, operator: Operator, owner: str | None = None) -> Hold:
    """Return a hold of *provider* from now on, for *span*; *owner*, or else *operator*, is whom to ask about it."""
    now = datetime.now(UTC)
    return Hold(provider, scope, OpenedBy.OPERATOR, owner or operator.name, operator.reason, now, now + span)


def place(ledger: Ledger, hold: Hold, operator: Operator) -> tuple[AuditEntry, Hold]:
    """Have *hold* stand in place of the one before; return it as it stands. Raises LedgerUnavailable."""
    scope = f"{hold.provider} {hold.scope} until {hold.until:%Y-%m-%dT%H:%MZ}"
    audit = operator.entry("provider.hold", scope, 1, f"owner {hold.owner}")
    return audit, store.place(ledger.database, hold, audit)


def release(ledger: Ledger, provider: str, operator: Operator) -> tuple[AuditEntry, list[Hold]]:
    """End what holds *provider*, a breaker's hold by a probe; return what stood. Raises LedgerUnavailable."""
    audit = operator.entry("provider.release", provider)
    return audit, store.release(ledger.database, provider, audit)


def scope_in_words(scope: Scope) -> str:
    """Which calls wait."""
    return "all calls" if scope is Scope.ALL else "calls with our own credential"


def opened_by(hold: Hold) -> str:
    """Who holds: a person, or which part of the worker."""
    return hold.owner if hold.opened_by is OpenedBy.OPERATOR else hold.opened_by.value


def until(hold: Hold) -> str:
    """How it ends, and how soon."""
    left = hold.until - datetime.now(UTC)
    if hold.is_probed:
        return f"probe in {short_duration(left)}" if left > timedelta() else "probe now"
    return f"ends in {short_duration(left)}"


def in_words(ledger: Ledger, providers: Collection[str]) -> list[str]:
    """A line about each hold of *providers*. Raises LedgerUnavailable."""
    return [_line(each) for each in in_force(ledger) if each.provider in providers]


def _line(hold: Hold) -> str:
    what = f"{scope_in_words(hold.scope)}{f' of {hold.source}' if hold.source else ''}"
    return f"{hold.provider} is held by {opened_by(hold)}: {what}, {hold.reason}, {until(hold)}"
