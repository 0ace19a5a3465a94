"""The causes of what was given up: how many, of how many people, what mends each, and whether that holds now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from worker.ledger import CauseRow, DeadLetterFilter, DeadLetterState, DeadLetterSummary, Ledger
from worker.ledger.fingerprints import CODES
from worker.operations import RefusedRequest
from worker.operations.dead_letters import OPEN, Selection
from worker.operations.remedies import Remedy, Standing, remedy_for
from worker.settings import Settings

LISTED: Final = 20  # causes, where nothing is said of a limit


@dataclass(frozen=True, slots=True)
class Cause:
    """Dead letters of one cause, and what to do about them; *now* is None where nobody looked."""

    row: CauseRow
    remedy: Remedy
    now: Standing | None = None

    @property
    def code(self) -> str:
        """What tells it from others of its reason: the provider's own code, a rule of ours, a problem; or nothing."""
        return " ".join(self.row.detail[name] for name in (*CODES, "problem") if name in self.row.detail)

    @property
    def command(self) -> str:
        """What to type once it is mended; empty where nothing but a new event helps."""
        return self.remedy.command(self.row.cause)


@dataclass(frozen=True, slots=True)
class Causes:
    """The sum of all that was selected, and the most frequent of its causes."""

    summary: DeadLetterSummary
    causes: Sequence[Cause]


def find(
    settings: Settings,
    ledger: Ledger,
    selection: Selection,
    states: tuple[DeadLetterState, ...] = OPEN,
    *,
    check: bool = False,
) -> Causes:
    """Find the causes of what is selected in one of *states*; *check* finds out as well which are mended by now.

    A check asks the providers concerned, and revokes nothing. Raises as `Selection.where` does.
    """
    where = replace(selection.where(settings, ledger, states), limit=selection.given.limit or LISTED)
    found = [Cause(row, remedy_for(row.reason, row.detail)) for row in ledger.dead_letter_causes(where)]
    return Causes(ledger.dead_letter_summary(where), checked(settings, found) if check else found)


def one(settings: Settings, ledger: Ledger, cause: str, *, check: bool = False) -> Cause:
    """Return *cause*, as long as something is open that died of it. Raises RefusedRequest for any other."""
    found = find(settings, ledger, Selection(DeadLetterFilter(cause=cause)), check=check).causes
    if not found:
        raise RefusedRequest(f"{cause}: nothing is open that died of such a cause; `revoker dlq causes` lists them")
    return found[0]


def checked(settings: Settings, causes: Sequence[Cause]) -> list[Cause]:
    """Return *causes*, each with whether its remedy is in force now."""
    from worker.operations.remedy_checks import standings  # noqa: PLC0415 - what the doctor asks providers with

    told = standings(settings, [(each.row, each.remedy) for each in causes])
    return [replace(each, now=now) for each, now in zip(causes, told, strict=True)]
