"""Who changes what, and why: every change leaves a line in the ledger's audit."""

from dataclasses import dataclass

from worker.ledger import AuditEntry


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks for a change, as `user@host` or as signed in, and why they do."""

    name: str
    reason: str

    def entry(self, action: str, scope: str, count: int = 0) -> AuditEntry:
        """Return a line of the audit, not yet written: this operator did *action* to *count* things of *scope*."""
        return AuditEntry(self.name, action, scope, self.reason, count)
