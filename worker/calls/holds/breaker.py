"""The breaker of one provider instance: how many calls in a row must fail alike before calls are held, and whose. Pure.

What the data of one source of events can bring about holds the calls of that source alone; everybody's wait only where
several sources meet the same. Where others are served, the failures of one source are about what it asks for.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from worker.calls.holds.hold import Scope
from worker.calls.holds.symptoms import BY_DATA, OF_OUR_CREDENTIAL, Symptom

HANDFUL: Final = 3  # different calls refused in a row: our credential is
LIMITS: Final[Mapping[Symptom, int]] = {
    Symptom.REFUSED: HANDFUL,
    Symptom.AMBIGUOUS: 10,  # different calls: a few dead references in a row are an everyday matter
    Symptom.OUTAGE: 5,  # different calls
    Symptom.NOT_FOUND: 10,  # different people: who does not know anybody is not whom we mean
    Symptom.PAUSE: 5,  # different people whose own tokens may not ask so often
}
LATELY: Final = 300.0  # seconds for which a success speaks for the provider and our credential there
_REMEMBERED: Final = 1000  # sources, whose names are their own choice

_OF_PEOPLE: Final = frozenset({Symptom.NOT_FOUND, Symptom.PAUSE})  # the rest counts calls
_DISPROVES: Final[Mapping[Symptom, tuple[Symptom, ...]]] = {
    Symptom.REFUSED: (Symptom.OUTAGE,),  # somebody is there
    Symptom.AMBIGUOUS: (Symptom.OUTAGE,),
    Symptom.NOT_FOUND: (Symptom.OUTAGE, Symptom.REFUSED),  # and let us ask
    Symptom.ANSWERED: (Symptom.OUTAGE, Symptom.REFUSED),
}


@dataclass(frozen=True, slots=True)
class Sighting:
    """A symptom, of which call of which source, about whom; *ours*: made with the worker's own credential."""

    symptom: Symptom
    call_id: str
    subject: str
    ours: bool
    source: str = ""


class Trip(NamedTuple):
    """Which calls to hold; *source*: only those that it asked for, empty: everybody's."""

    scope: Scope
    source: str


@dataclass(slots=True)
class _Streak:
    seen: OrderedDict[str, set[str]] = field(default_factory=OrderedDict)  # source → different calls, or people
    others_well: bool = False  # calls with the users' own tokens succeeded meanwhile

    def add(self, source: str, what: str, limit: int) -> None:
        mine = self.seen.setdefault(source, set())
        if len(mine) < limit:
            mine.add(what)
        if len(self.seen) > _REMEMBERED:
            self.seen.popitem(last=False)

    def is_shared(self, each: int) -> bool:
        """Whether two sources have met it, *each* with so many."""
        return sum(len(what) >= each for what in self.seen.values()) > 1


class Breaker:
    """Learns from every call. *clock* is monotonic, in seconds.

    The same call, or the same person, again and again says something of that call only; different ones in a row,
    without a success between, of the provider, of our credential, or of the source that asks. What users' own tokens
    come to never says anything of our credential; and where these calls succeed while ours do not, only ours are held.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._streaks: dict[tuple[Symptom, bool], _Streak] = {}
        self._served: OrderedDict[tuple[str, bool], float] = OrderedDict()  # source, ours → its last success

    def observe(self, seen: Sighting) -> Trip | None:
        """Which calls to hold from now on; None: no reason to."""
        if seen.symptom is Symptom.WELL:
            self._well(seen)
        for over in _DISPROVES.get(seen.symptom, ()):
            self._streaks.pop((over, seen.ours), None)
        return self._count(seen) if _counts(seen) else None

    def reset(self) -> None:
        """Forget what led to a hold that is over."""
        self._streaks.clear()

    def renew(self) -> None:
        """Forget everything: another credential is in force."""
        self._streaks.clear()
        self._served.clear()

    def _count(self, seen: Sighting) -> Trip | None:
        streak, limit = self._streaks.setdefault((seen.symptom, seen.ours), _Streak()), LIMITS[seen.symptom]
        streak.add(seen.source, seen.subject if seen.symptom in _OF_PEOPLE else seen.call_id, limit)
        only_ours = seen.symptom in OF_OUR_CREDENTIAL or (seen.ours and streak.others_well)
        source = self._concerned(seen, streak, limit)
        return None if source is None else Trip(Scope.WORKER if only_ours else Scope.ALL, source)

    def _concerned(self, seen: Sighting, streak: _Streak, limit: int) -> str | None:
        """The source whose calls are to be held; empty: everybody's; None: nobody's."""
        is_mine = len(streak.seen[seen.source]) >= limit
        is_everybodys = sum(map(len, streak.seen.values())) >= limit
        if seen.symptom is Symptom.AMBIGUOUS:  # dead references are an everyday matter for every source
            return seen.source if is_mine and not self._are_served(seen, others=False) else None
        if is_everybodys and streak.is_shared(HANDFUL if seen.symptom in BY_DATA else 1):
            return ""
        if seen.symptom in BY_DATA:
            return seen.source if is_mine and not self._are_served(seen) else None
        if not is_everybodys:
            return None
        return seen.source if seen.symptom is Symptom.OUTAGE and self._are_served(seen) else ""

    def _are_served(self, seen: Sighting, *, others: bool = True) -> bool:
        """Whether calls of *others*, or of anybody, succeeded lately, in a way that speaks for calls like this one."""
        since = self._clock() - LATELY
        return any(
            at > since and (ours or not seen.ours) and not (others and source == seen.source)
            for (source, ours), at in self._served.items()
        )

    def _well(self, seen: Sighting) -> None:
        self._served[seen.source, seen.ours] = self._clock()
        self._served.move_to_end((seen.source, seen.ours))
        if len(self._served) > _REMEMBERED:
            self._served.popitem(last=False)
        for key, streak in list(self._streaks.items()):
            if seen.ours or not key[1]:
                del self._streaks[key]
            else:
                streak.others_well = True


def _counts(seen: Sighting) -> bool:
    """A pause that is asked of our own credential needs no second one; a user's token says nothing of ours."""
    if seen.symptom is Symptom.PAUSE:
        return not seen.ours
    return seen.symptom in LIMITS and (seen.ours or seen.symptom not in OF_OUR_CREDENTIAL)
