"""Holds as operators see and set them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.calls.holds import store

if TYPE_CHECKING:
    from worker.calls.holds.hold import Hold
    from worker.ledger import AuditEntry, Ledger


def in_force(ledger: Ledger) -> list[Hold]:
    """Return the holds that stand and are not over. Raises LedgerUnavailable."""
    now = datetime.now(UTC)
    return [each for each in store.standing(ledger.database) if each.is_probed or each.until > now]


def place(ledger: Ledger, hold: Hold, audit: AuditEntry) -> Hold:
    """Have an operator's *hold* stand in place of the one before, and write *audit*; return it as it stands."""
    return store.place(ledger.database, hold, audit)


def release(ledger: Ledger, provider: str, audit: AuditEntry) -> list[Hold]:
    """End what holds *provider*, a breaker's hold by a probe, and write *audit*; return what stood."""
    return store.release(ledger.database, provider, audit)
