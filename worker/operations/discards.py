"""Dead letters given up for good: by one operator, or, where they are many, by another one who reads the same plan."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final

from worker.ledger import AuditEntry, Ledger, Operator, Pace
from worker.ledger.ledger import in_pages
from worker.ledger.rows import CLOSED
from worker.operations import RefusedRequest, jobs
from worker.operations.dead_letters import OPEN, Groups, Selection
from worker.operations.four_eyes import FourEyes
from worker.operations.replay import ReplaySettings
from worker.operations.replay_plan import PAGE, ReplayPages
from worker.operations.replay_rules import ReplayPlan
from worker.settings import Settings

ACTION: Final = "dead-letter.discard"
Seen = Mapping[str, datetime]  # when each of those that an operator read had died last, by id

_UNPACED: Final = Pace(0.0)  # a discard asks nothing of any provider


@dataclass(frozen=True, slots=True)
class PlannedDiscard:
    """What a discard would give up. Nothing has happened yet."""

    scope: str
    seen: dict[str, datetime] = field(default_factory=dict)
    groups: Groups = field(default_factory=Counter)

    def in_words(self) -> str:
        """How many of each provider and reason."""
        groups = self.groups.most_common()
        return ", ".join(f"{count} {provider or '-'} {reason}" for (provider, reason), count in groups)


def plan(settings: Settings, ledger: Ledger, selection: Selection) -> PlannedDiscard:
    """Return what of the open ones is selected. Raises as `Selection.where` does."""
    planned = PlannedDiscard(selection.in_words())
    for page in in_pages(ledger.dead_letter_heads, selection.where(settings, ledger, OPEN)):
        planned.seen.update((head.dead_letter_id, head.at) for head in page)
        planned.groups.update((head.provider, head.reason) for head in page)
    return planned


def discard(settings: Settings, ledger: Ledger, planned: PlannedDiscard, operator: Operator) -> AuditEntry:
    """Give up what was planned for good; a tombstone stays. Return the line of the audit, with how many.

    Raises RefusedRequest where a second operator is asked for.
    """
    audit = operator.entry(ACTION, planned.scope, plan=planned.in_words())
    require_four_eyes(settings, ledger, planned.seen, audit)
    return ledger.discard(list(planned.seen), audit=audit)


def require_four_eyes(
    settings: Settings, ledger: Ledger, seen: Seen, audit: AuditEntry, ends: tuple[tuple[str, str], ...] = ()
) -> None:
    """Return where whom *audit* names may discard *seen* alone, and end the floods *ends*.

    Else it is stored as a job for a second operator, and RefusedRequest says so. What changed since it was read is no
    part of it.
    """
    eyes, operator = FourEyes.of(settings.four_eyes), Operator(audit.actor, audit.reason)
    if not eyes.are_reached(audit.action, len(seen)):
        return
    pages = ReplayPages(lambda: _read_again(ledger, seen), audit.scope, audit.action, is_judged=False, ends=ends)
    job = jobs.plan(ReplaySettings.of(settings), ledger, pages, _UNPACED, operator).job
    if job is None:
        raise RefusedRequest("all of it changed since you read it: look at it again")
    eyes.require(ledger, job, len(seen), operator)


def _read_again(ledger: Ledger, seen: Seen) -> Iterator[ReplayPlan]:
    """Those of *seen* that are as they were read, with all that their fingerprints are made of."""
    left = iter(seen)
    while ids := list(islice(left, PAGE)):
        rows = ledger.whole_dead_letters(ids)
        same = (row for row in rows if row.at == seen[row.dead_letter_id] and row.state not in CLOSED)
        yield ReplayPlan(tuple(same), ())
