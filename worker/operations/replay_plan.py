"""What a replay would do: of any length, a page of it is in memory."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from worker.broker.provenance import ProvenanceMac
from worker.ledger import DeadLetterState, Ledger
from worker.ledger.ledger import in_pages
from worker.operations.asked_at_once import AskedAtOnce
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


@dataclass(frozen=True, slots=True)
class ReplayPages:
    """A replay that somebody may want: its pages, and its *scope* as the audit tells it."""

    pages: Pages
    scope: str
    action: str = "dead-letter.replay"
    is_judged: bool = True  # whether each is judged once more before it goes
    claims: bool = False  # whether what nobody vouches for goes as a claim
    ends: tuple[tuple[str, str], ...] = ()  # the floods, by source and type, that end when it begins


def of_selected(
    settings: Settings, ledger: Ledger, selection: Selection, *, force: bool = False, claims: bool = False
) -> ReplayPages:
    """Return what a replay of the selected would be. An id is looked at in any state, so that its refusal is shown.

    Filters find what is open. *force* overrules refusals, *claims* takes what can prove itself. Raises as
    `Selection.where` does.
    """
    states = tuple(DeadLetterState) if selection.given.ids else OPEN
    where = selection.where(settings, ledger, states, newest_first=False)
    now, letters = datetime.now(UTC), ProvenanceMac.of(settings).letters

    def pages() -> Iterator[ReplayPlan]:
        for rows in in_pages(ledger.dead_letters, where, PAGE):
            plan = plan_replay(rows, AskedAtOnce(ledger, rows), now, settings.max_ages(), force=force)
            yield only_vouched(plan, letters, claims=claims)

    return ReplayPages(pages, selection.in_words(), is_judged=not force, claims=claims)


def figures(pages: Iterable[ReplayPlan]) -> PlanFigures:
    """*pages* in figures."""
    found = PlanFigures()
    for page in pages:
        found.groups.update((row.provider, row.reason) for row in page.ready)
        found.refused.update(refusal.value for _, refusal in page.refused)
        altered = [row.dead_letter_id for row, refusal in page.refused if refusal is Refusal.ALTERED]
        found.altered += altered[: NAMED - len(found.altered)]
    return found
