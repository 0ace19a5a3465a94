"""The audit as operators read it, and whether it is still what was written."""

from collections.abc import Callable

from worker.ledger import AuditedChange, AuditFilter, Head, Ledger, Verified


def find(ledger: Ledger, where: AuditFilter) -> list[AuditedChange]:
    """Return the changes that *where* describes, the newest first. Raises LedgerUnavailable."""
    return ledger.audited(where)


def length(ledger: Ledger) -> int:
    """Return how many entries `verify` will look at, as far as the ledger can be trusted. Raises LedgerUnavailable."""
    return ledger.audit_length()


def verify(ledger: Ledger, kept: Head | None, progress: Callable[[int], object]) -> Verified:
    """Look at every entry, from one moment; *progress* takes how many were just read. Raises LedgerUnavailable."""
    return ledger.verify_audit(kept, progress)
