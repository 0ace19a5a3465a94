"""Whom an event counts for, under a keyed hash: the counters know nobody."""

from __future__ import annotations

from dataclasses import dataclass
from sys import intern
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tasks.events import Event
    from tasks.plan import Plan
    from tasks.subject_index import SubjectIndex

Key = tuple[str, str]  # source, event type

DEAD_LETTERS: Final = 8  # of one event, for providers that nobody configured, which count for nobody


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody, as one source tells of them in events of one type."""

    source: str
    event_type: str
    hash: str

    @property
    def key(self) -> Key:
        """What it counts against."""
        return self.source, self.event_type


def subjects_of(event: Event, plan: Plan, index: SubjectIndex) -> tuple[Subject, ...]:
    """Whom *event* hits, by the *plan* of what is made of it: never fewer than it could log out.

    Each user id at each provider instance counts, and each reference to a token, which anybody could write: not what
    they are called in the event. A sealed token is left out (who has it could log its owner out anyway, and sealed
    again it looks different): where a plan hits nothing else, the person counts by all names together, and who has no
    name by the event. What nobody can resolve hits no one, but each is a dead letter: beyond a few they count as well.
    """
    targets = [index.target(call.target) for call in plan.calls if call.jwe is None]
    person = index.person(event) or index.target(("", "event", event.id))
    beyond = [index.target((unit.provider, "unit", event.id)) for unit in plan.refused[DEAD_LETTERS:]]
    told = dict.fromkeys(each for each in (*(targets or [person]), *beyond) if each)
    return tuple(Subject(intern(event.source), intern(event.type), each) for each in told)
