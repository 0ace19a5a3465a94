"""Who changes what, and why: every change of an operator's leaves an entry in the audit."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from worker.ledger.audit_chain import Chain, micros, new_id, next_step

BEGUN: Final = "begun"  # the result of a change whose end is not on record: it runs, or whoever made it died


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which dead letters, and why. The id is short; the operator gets it."""

    actor: str
    action: str
    scope: str  # the filter or the ids, as given
    reason: str
    count: int = 0
    result: str = ""
    at: datetime | None = None  # None: when it is written
    audit_id: str = field(default_factory=new_id)
    plan: str = ""  # what the operator agreed to, in words


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks for a change, as `user@host` or as signed in, and why they do."""

    name: str
    reason: str

    def entry(self, action: str, scope: str, count: int = 0, plan: str = "") -> AuditEntry:
        """Return an entry, not yet written: this operator did *action* to *count* things of *scope*, by *plan*."""
        return AuditEntry(self.name, action, scope, self.reason, count, plan=plan)


def write(connection: Connection, entry: AuditEntry) -> None:
    """Add *entry* to the chain. A change may be written several times: its counts add up, and its last result holds.

    What was wanted stands in its first entry: scope, reason and plan are not written again.
    """
    chain = Chain.open(connection)
    step = next_step(connection, entry.audit_id)
    wanted = dict.fromkeys(("scope", "reason", "plan"), "") if step else {}
    chain.add({**asdict(entry), **wanted, "at": micros(entry.at or datetime.now(UTC))}, step=step)
    chain.save()
