"""Dead letters as operators find them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Final

from tasks.names import mask
from worker.ledger import (
    DeadLetterFilter,
    DeadLetterHead,
    DeadLetterRow,
    DeadLetterState,
    DeadLetterSummary,
    Ledger,
)
from worker.ledger.ledger import in_pages
from worker.operations.text import rfc3339, short_duration
from worker.settings import Settings

OPEN: Final = (DeadLetterState.DEAD, DeadLetterState.CLAIMED)
LISTED: Final = 100  # dead letters, where nothing is said of a limit

Groups = Counter[tuple[str | None, str]]  # how many, by provider and reason


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters an operator means: *given*, its ids unique beginnings, and a person by a name in clear."""

    given: DeadLetterFilter
    subject: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing narrows it down; a limit does not."""
        return not self.given.ids and not self._filters()

    def where(
        self, settings: Settings, ledger: Ledger, states: tuple[DeadLetterState, ...], *, newest_first: bool = True
    ) -> DeadLetterFilter:
        """The ledger's form of it; the subject becomes its keyed hash, each beginning of an id the one id.

        Raises DeadLetterNotFound for a beginning of no id, DeadLetterAmbiguous for that of several.
        """
        ids = tuple(ledger.dead_letter(prefix).dead_letter_id for prefix in self.given.ids)
        subject = settings.subjects().everywhere(self.subject) if self.subject else ()
        return replace(self.given, ids=ids, subject=subject, states=states, newest_first=newest_first)

    def in_words(self) -> str:
        """It for the audit: the options and ids as given, the subject masked."""
        limit = [f"--limit {self.given.limit}"] if self.given.limit else []
        return " ".join([*self.given.ids, *self._filters(), *limit]) or "--all"

    def _filters(self) -> list[str]:
        given = self.given
        filters = {
            "provider": given.provider,
            "event-type": given.event_type,
            "died-of": given.reason,
            "cause": given.cause,
            "subject": mask(self.subject) if self.subject else None,
            "since": rfc3339(given.since) if given.since else None,
            "until": rfc3339(given.until) if given.until else None,
            "older-than": short_duration(given.older_than) if given.older_than else None,
        }
        return [f"--{name} {value}" for name, value in filters.items() if value is not None]


@dataclass(frozen=True, slots=True)
class Found:
    """What a selection finds: the sum of all of it, and at most *limit* heads, read as they are needed."""

    summary: DeadLetterSummary
    heads: Iterable[DeadLetterHead]
    limit: int


def find(
    settings: Settings,
    ledger: Ledger,
    selection: Selection,
    states: tuple[DeadLetterState, ...],
    behind: tuple[datetime, str] | None = None,
) -> Found:
    """Find what is selected in one of *states*, the last to die first; *behind* the last one of a page.

    Raises as `Selection.where` does.
    """
    limit = selection.given.limit or LISTED
    where = replace(selection.where(settings, ledger, states), limit=limit)
    heads = chain.from_iterable(in_pages(ledger.dead_letter_heads, replace(where, behind=behind)))
    return Found(ledger.dead_letter_summary(where), heads, limit)


def one(ledger: Ledger, beginning: str) -> DeadLetterRow:
    """Return the dead letter whose id begins so. Raises DeadLetterNotFound, DeadLetterAmbiguous."""
    return ledger.dead_letter(beginning)
