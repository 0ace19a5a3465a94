"""A replay is planned in figures, and carried out from the same pages again: of any length, a page is in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Final

from worker.ledger import DeadLetterRow
from worker.operations.replay_rules import Refusal, ReplayPlan

PAGE: Final = 100  # dead letters with what arrived: 18 MB at most
NAMED: Final = 10  # ids of letters that somebody wrote into

Pages = Callable[[], Iterable[ReplayPlan]]  # the plan, oldest death first, each time as the ledger is then


@dataclass(slots=True)
class PlanFigures:
    """What a replay would do. Nothing has happened yet."""

    groups: Counter[tuple[str | None, str]] = field(default_factory=Counter)  # ready, by provider and reason
    refused: Counter[str] = field(default_factory=Counter)  # by why
    altered: list[str] = field(default_factory=list)  # the first ids of letters that somebody wrote into
    last: tuple[datetime, str] | None = None  # time of death and id: what dies later is no part of it

    @property
    def ready(self) -> int:
        """How many would be replayed."""
        return self.groups.total()

    @property
    def refusals(self) -> Mapping[str, int]:
        """How many are refused, by why, most first."""
        return dict(self.refused.most_common())

    def rows(self, pages: Pages) -> Iterator[DeadLetterRow]:
        """What of *pages* is to be replayed now, up to the last that was planned."""
        rows = (row for page in pages() for row in page.ready)
        return takewhile(lambda row: self.last is not None and _place(row) <= self.last, rows)


def figures(pages: Iterable[ReplayPlan]) -> PlanFigures:
    """*pages* in figures."""
    told = PlanFigures()
    for page in pages:
        told.groups.update((row.provider, row.reason) for row in page.ready)
        told.refused.update(why.value for _, why in page.refused)
        told.altered += [row.dead_letter_id for row, why in page.refused if why is Refusal.ALTERED][
            : NAMED - len(told.altered)
        ]
        places = [*map(_place, page.ready), *([told.last] if told.last else [])]
        told.last = max(places, default=None)
    return told


def _place(row: DeadLetterRow) -> tuple[datetime, str]:
    return row.at, row.dead_letter_id
