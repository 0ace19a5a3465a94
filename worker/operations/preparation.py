"""What an installation needs before its processes run, made by an operator: exchanges, queues and the schema."""

from dataclasses import replace

from worker.database.revisions import known_revisions
from worker.database.schema import schema_at
from worker.ledger import AuditEntry, LedgerUnavailable, Operator
from worker.operations import opening, opening_broker
from worker.operations.on_record import OnRecord, on_record
from worker.settings import Settings
from worker.settings.urls import masked_url


def declare_topology(settings: Settings, operator: Operator) -> OnRecord:
    """Declare the broker's exchanges and queues. Raises PublishError, and LedgerUnavailable as `on_record` does."""
    audit = operator.entry("topology.declare", masked_url(settings.broker_url.get_secret_value()))
    with on_record(settings, audit) as recorded:
        opening_broker.declare_topology(settings)
    return recorded


def upgrade_ledger(settings: Settings, operator: Operator) -> AuditEntry:
    """Bring the ledger's schema to its newest revision, and then put it on record.

    Not before, because the audit stands in the ledger. Raises LedgerUnavailable, and LedgerIsNewer with nothing done.
    """
    before = _revision(settings)
    opening.upgrade_ledger(settings)
    newest = known_revisions()[-1]
    result = "was up to date" if before == newest else f"was at {before or 'none'}"
    audit = operator.entry("ledger.upgrade", f"to revision {newest}", count=int(before != newest))
    with opening.open_ledger(settings) as ledger:
        ledger.audit(replace(audit, result=result))
    return audit


def _revision(settings: Settings) -> str | None:
    """Return the revision of the schema; None where there is no ledger yet, or none that can be read."""
    try:
        return schema_at(settings.ledger_url.get_secret_value()).revision
    except LedgerUnavailable:
        return None
