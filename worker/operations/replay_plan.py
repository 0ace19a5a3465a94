"""A replay is planned in figures, and carried out from the same pages again: of any length, a page is in memory."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import takewhile
from typing import Final

from worker.broker.provenance import ProvenanceMac
from worker.ledger import DeadLetterRow, DeadLetterState, Ledger, Operator
from worker.ledger.ledger import in_pages
from worker.operations.dead_letters import OPEN, Groups, Selection
from worker.operations.replay_rules import Refusal, ReplayPlan, only_vouched, plan_replay
from worker.settings import Settings

PAGE: Final = 100  # dead letters with what arrived: 18 MB at most
NAMED: Final = 10  # ids of letters that somebody wrote into

Pages = Callable[[], Iterable[ReplayPlan]]  # the plan, oldest death first, each time as the ledger is then


@dataclass(slots=True)
class PlanFigures:
    """What a replay would do. Nothing has happened yet."""

    groups: Groups = field(default_factory=Counter)  # what is ready
    refused: Counter[str] = field(default_factory=Counter)  # by reason of refusal
    altered: list[str] = field(default_factory=list)  # the first ids of letters that somebody wrote into
    last: tuple[datetime, str] | None = None  # time of death and id: what dies later is no part of it

    @property
    def ready(self) -> int:
        """How many would be replayed."""
        return self.groups.total()

    @property
    def refusals(self) -> Mapping[str, int]:
        """How many are refused, by the reason, most first."""
        return dict(self.refused.most_common())

    @property
    def providers(self) -> set[str]:
        """The providers that would be called."""
        return {provider for provider, _ in self.groups if provider}

    def rows(self, pages: Pages) -> Iterator[DeadLetterRow]:
        """What of *pages* is to be replayed now, up to the last that was planned."""
        rows = (row for page in pages() for row in page.ready)
        return takewhile(lambda row: self.last is not None and _place(row) <= self.last, rows)


@dataclass(frozen=True, slots=True)
class PlannedReplay:
    """A replay that has not begun: its figures, its pages, and its *scope* as the audit tells it."""

    figures: PlanFigures
    pages: Pages
    scope: str
    action: str = "dead-letter.replay"
    claims: bool = False  # whether what nobody vouches for goes as a claim
    ends: tuple[tuple[str, str], ...] = ()  # the floods, by source and type, that end before it begins


def plan_selected(  # noqa: PLR0913 - one for each way to ask
    settings: Settings,
    ledger: Ledger,
    selection: Selection,
    *,
    force: bool = False,
    claims: bool = False,
    finder: Operator | None = None,
) -> PlannedReplay:
    """Return what a replay of the selected would do. An id is looked at in any state, so that its refusal is shown.

    Filters find what is open. *force* overrules refusals, *claims* takes what can prove itself. What somebody wrote
    into the ledger is put on record as found by *finder*. Raises as `Selection.where` does.
    """
    states = tuple(DeadLetterState) if selection.given.ids else OPEN
    where = selection.where(settings, ledger, states, newest_first=False)
    now, letters = datetime.now(UTC), ProvenanceMac.of(settings).letters

    def pages() -> Iterator[ReplayPlan]:
        for rows in in_pages(ledger.dead_letters, where, PAGE):
            plan = plan_replay(rows, ledger, now, settings.max_ages(), force=force)
            yield only_vouched(plan, letters, claims=claims)

    planned = PlannedReplay(figures(pages()), pages, selection.in_words(), claims=claims)
    if finder is not None:
        record_altered(ledger, planned, finder)
    return planned


def record_altered(ledger: Ledger, planned: PlannedReplay, operator: Operator) -> None:
    """Put on record what somebody wrote into the ledger, as *operator* came upon it."""
    if count := planned.figures.refused[Refusal.ALTERED.value]:
        ids = ", ".join(planned.figures.altered)
        ledger.audit(replace(operator.entry("dead-letter.altered", planned.scope, count), result=ids))


def figures(pages: Iterable[ReplayPlan]) -> PlanFigures:
    """*pages* in figures."""
    found = PlanFigures()
    for page in pages:
        found.groups.update((row.provider, row.reason) for row in page.ready)
        found.refused.update(refusal.value for _, refusal in page.refused)
        altered = [row.dead_letter_id for row, refusal in page.refused if refusal is Refusal.ALTERED]
        found.altered += altered[: NAMED - len(found.altered)]
        places = [*map(_place, page.ready), *([found.last] if found.last else [])]
        found.last = max(places, default=None)
    return found


def _place(row: DeadLetterRow) -> tuple[datetime, str]:
    return row.at, row.dead_letter_id
