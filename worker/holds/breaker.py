"""The breaker of one provider instance: how many calls in a row must fail alike before its calls are held. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from worker.holds.hold import Scope
from worker.holds.symptoms import Symptom

HANDFUL: Final = 3  # different calls refused in a row: our credential is
LIMITS: Final[Mapping[Symptom, int]] = {
    Symptom.REFUSED: HANDFUL,
    Symptom.OUTAGE: 5,  # different calls
    Symptom.NOT_FOUND: 10,  # different people: who does not know anybody is not whom we mean
}

_DISPROVES: Final[Mapping[Symptom, tuple[Symptom, ...]]] = {
    Symptom.REFUSED: (Symptom.OUTAGE,),  # somebody is there
    Symptom.NOT_FOUND: (Symptom.OUTAGE, Symptom.REFUSED),  # and let us ask
}


@dataclass(slots=True)
class _Streak:
    seen: set[str] = field(default_factory=set)
    others_well: bool = False  # calls with the users' own tokens succeeded meanwhile


@dataclass(frozen=True, slots=True)
class Sighting:
    """A symptom, of which call, about whom; *ours*: made with the worker's own credential."""

    symptom: Symptom
    call_id: str
    subject: str
    ours: bool


class Breaker:
    """Learns from every call.

    The same call, or the same person, again and again says something of that call only; different ones in a row,
    without a success between, of the provider or our credential. What users' own tokens come to never says anything
    of our credential; and where these calls succeed while ours do not, only ours are held.
    """

    def __init__(self) -> None:
        self._streaks: dict[tuple[Symptom, bool], _Streak] = {}

    def observe(self, seen: Sighting) -> Scope | None:
        """Which calls to hold from now on; None: no reason to."""
        if seen.symptom is Symptom.WELL:
            self._well(ours=seen.ours)
        for over in _DISPROVES.get(seen.symptom, ()):
            self._streaks.pop((over, seen.ours), None)
        counts = seen.symptom in LIMITS and (seen.ours or seen.symptom is not Symptom.REFUSED)
        return self._count(seen) if counts else None

    def reset(self) -> None:
        """Forget what led to a hold that is over."""
        self._streaks.clear()

    def _count(self, seen: Sighting) -> Scope | None:
        streak = self._streaks.setdefault((seen.symptom, seen.ours), _Streak())
        streak.seen.add(seen.subject if seen.symptom is Symptom.NOT_FOUND else seen.call_id)
        if len(streak.seen) < LIMITS[seen.symptom]:
            return None
        only_ours = seen.symptom is Symptom.REFUSED or (seen.ours and streak.others_well)
        return Scope.WORKER if only_ours else Scope.ALL

    def _well(self, *, ours: bool) -> None:
        for key, streak in list(self._streaks.items()):
            if ours or not key[1]:
                del self._streaks[key]
            else:
                streak.others_well = True
