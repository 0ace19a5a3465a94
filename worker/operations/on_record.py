"""Changes that may come before there is a ledger: on record where one is set up, and made where none is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from worker.ledger import BEGUN, AuditEntry, LedgerUnavailable
from worker.operations.opening import open_ledger
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class OnRecord:
    """The id under which the audit has a change; or None, and why it has not."""

    audit_id: str | None
    why_not: str = ""

    def in_words(self) -> str:
        """The end of what is told of the change."""
        return f"audit {self.audit_id}" if self.audit_id else f"not in the audit: {self.why_not}"


@contextmanager
def on_record(settings: Settings | None, audit: AuditEntry) -> Iterator[OnRecord]:
    """Have *audit* written before and after what is done within; *settings* are None where there are none yet.

    Raises LedgerUnavailable where the ledger fails between the two.
    """
    recorded = _written(settings, replace(audit, result=BEGUN))
    result = "failed"
    try:
        yield recorded
        result = "done"
    finally:
        if settings and recorded.audit_id:
            with open_ledger(settings) as ledger:
                ledger.audit(replace(audit, result=result, count=int(result == "done")))


def _written(settings: Settings | None, audit: AuditEntry) -> OnRecord:
    if settings is None:
        return OnRecord(None, "the settings are missing or wrong")
    try:
        with open_ledger(settings) as ledger:
            ledger.audit(audit)
    except LedgerUnavailable as error:
        return OnRecord(None, str(error))
    return OnRecord(audit.audit_id)
