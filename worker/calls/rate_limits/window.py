"""How many calls a credential has left: a sliding window, kept in one small record that all workers change in turn.

Pure: the database's time and what it keeps come in, what it is to keep and the permits come out.

**The bound.** At most `calls` requests reach the provider in any `window` seconds. Proof: a permit leased at time *n*
of the database's clock is used in [n, n + usable] (the worker counts `usable` from *before* it asked, and knows of it
only afterwards), and its request arrives within another `spread` seconds. So two requests that arrive less than
`window` apart were leased less than D = window + usable + spread apart, and D / slot slots at most lie from one to the
other. Each lease adds to its slot no more than `calls` less what was taken in its own slot and the D / slot before it.
A permit is handed back only unused, once, and by a worker for whom the clock has not been set since. What a worker
takes with it when it dies is never used. **Ahead** of need a few permits are leased for urgent calls, which are good
for `lasting` seconds instead of `usable`, and are taken into account for as much longer: the same proof with another D.
While they lie unused they are booked anew with each look, at its own time; used meanwhile, one is remembered for longer
than it must be.

**What it costs.** A full queue gets window / (D + slot) of the limit, 96 %. One call in twenty (at least 1) is kept for
urgent ones, so routine ones alone get 91 %; a tenth would leave them 86 %. More is not needed, since routine calls give
way: they take nothing while the window is fuller than their part, and they are paced evenly over it, so that an urgent
crowd that has used up the reserve gets the very next calls to leave the window, and not those of a minute later. Urgent
calls are not paced: after a quiet minute the whole limit is theirs at once.

**Clocks.** Only the database's clock counts, and each worker compares it with a monotonic one of its own
(`steadiness.py`). Where it was set meanwhile, or slots lie in the future, a new era begins: everything on record counts
as taken just now, once for each worker as it learns of it, since what was booked under a clock that went wrong and was
set right again has a wrong date only for those who did not look in between. Nobody is early, and the full rate is back
within a window. What goes unnoticed is a step forward that no running worker has seen both sides of.

**Workers out of sight.** A worker that was not seen for `away` seconds may be going on at its own share, so the others
leave that share alone until it comes back and tells what it used, or is forgotten, after a window.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

_SLOTS: Final = 240  # in a window


@dataclass(frozen=True, slots=True)
class Limit:
    """At most *calls* requests in any *window* seconds, whichever workers make them. All times are seconds."""

    calls: int
    window: float = 60.0
    usable: float = 1.0  # how long a permit is good for, the way to the database and back included
    spread: float = 1.0  # between the fastest and the slowest way of a request to the provider

    @property
    def slot(self) -> float:
        """How finely time is told apart."""
        return self.window / _SLOTS

    @property
    def lasting(self) -> float:
        """How long a permit that is leased ahead is good for: a few looks at the ledger, slow ones included."""
        return max(self.usable, self.window / 6)

    @property
    def deferred(self) -> int:
        """For how many slots more than others those leased ahead are taken into account."""
        return math.ceil((self.lasting - self.usable) / self.slot)

    @property
    def remembered(self) -> int:
        """How many slots before its own a lease looks at."""
        return math.ceil((self.window + self.usable + self.spread) / self.slot)

    @property
    def period(self) -> float:
        """The time in which `calls` permits are given at most."""
        return (self.remembered + 1) * self.slot

    @property
    def reserve(self) -> int:
        """What routine calls leave to urgent ones. A limit of 1 has nothing to divide."""
        return min(self.calls - 1, max(1, self.calls // 20))

    @property
    def pace(self) -> float:
        """Between two routine calls."""
        return self.period / (self.calls - self.reserve)

    @property
    def burst(self) -> float:
        """How far routine calls may catch up with their pace."""
        return self.window / 30

    @property
    def ahead(self) -> int:
        """How many calls wait in a worker: two seconds' worth, the others stay in the broker."""
        return max(1, round(2 * self.calls / self.window))

    @property
    def away(self) -> float:
        """Without a sign for so long, a worker is on its own, and the others know."""
        return self.window / 10


@dataclass(frozen=True, slots=True)
class Record:
    """What the database keeps of one credential."""

    taken: Mapping[int, int] = field(default_factory=dict)  # slot → permits
    paced: float = 0.0  # when the next routine call is due
    seen: Mapping[str, float] = field(default_factory=dict)  # worker → when it was here last
    era: int = 0  # how often the clock was found to have been set
    ahead: Mapping[int, int] = field(default_factory=dict)  # slot → permits leased before anybody waited for them

    def dump(self) -> str:
        """As text."""
        told = {"paced": self.paced, "seen": dict(self.seen), "era": self.era, "ahead": sorted(self.ahead.items())}
        return json.dumps({"taken": sorted(self.taken.items()), **told})

    @classmethod
    def load(cls, text: str) -> Self:
        """From text; an empty one is a fresh record."""
        kept = json.loads(text) if text else {}
        taken, ahead = dict(kept.get("taken", ())), dict(kept.get("ahead", ()))
        return cls(taken, kept.get("paced", 0.0), kept.get("seen", {}), kept.get("era", 0), ahead)


@dataclass(frozen=True, slots=True)
class Ask:
    """What one worker needs, and what it has to tell."""

    worker: str
    urgent: int = 0
    routine: int = 0
    unused: Mapping[int, int] = field(default_factory=dict)  # slot → permits that ran out unused: told once only
    alone: Iterable[float] = ()  # the ages in seconds of calls made without a permit: told until it is known
    steady: bool = True  # the database's clock went on evenly since this worker's last look
    era: int | None = None  # that it was told of then
    leaves: bool = False
    ahead: int = 0  # permits that no call waits for yet
    unused_ahead: Mapping[int, int] = field(default_factory=dict)  # as `unused`
    kept_ahead: Mapping[int, int] = field(default_factory=dict)  # slot → those that are good, to be booked anew


@dataclass(frozen=True, slots=True)
class Grant:
    """What it gets."""

    slot: int
    permits: int
    workers: int  # that share the limit
    wait: float  # seconds until there may be more; 0 where nothing was refused
    era: int = 0
    ahead: int = 0  # permits that are good for longer, in the same slot
    kept_ahead: int = 0  # that were booked anew, likewise


def lease(limit: Limit, kept: Record, ask: Ask, now: float) -> tuple[Record, Grant]:
    """What *ask* gets at *now* (the database's clock), and what is to be kept."""
    slot = math.floor(now / limit.slot)
    seen = _seen(limit, kept, ask, now)
    was_set = not ask.steady or any(at > slot for at in kept.taken)
    era, steady = kept.era + was_set, not was_set and ask.era in {None, kept.era}
    taken = _taken(limit, kept, replace(ask, steady=steady), now)
    early, kept_ahead = _taken_ahead(limit, kept, replace(ask, steady=steady), slot)
    used, budget = taken.total() + early.total(), limit.calls - _left_to_absent(limit, seen, now)
    urgent = max(0, min(ask.urgent, budget - used))
    lying = sum(count for at, count in early.items() if at > slot - limit.lasting / limit.slot)
    reserve = max(0, limit.reserve - lying)  # what is leased ahead is a part of it
    due = max(now - limit.burst, kept.paced) if kept.paced <= now + limit.period else now
    paced = math.floor((now - due) / limit.pace) + 1 if due <= now else 0
    routine = max(0, min(ask.routine, budget - reserve - used - urgent, paced))
    permits, due = urgent + routine, due + routine * limit.pace
    ahead = max(0, min(ask.ahead, budget - used - permits))
    if permits:
        taken[slot] += permits
    if ahead:
        early[slot] += ahead
    refused = permits < ask.urgent + ask.routine
    wait = _wait(limit, taken + early, now, due if ask.routine and not ask.urgent else now) if refused else 0.0
    record = Record(dict(taken), due, seen, era, dict(early))
    return record, Grant(slot, permits, max(1, len(seen)), wait, era, ahead, kept_ahead)


def _seen(limit: Limit, kept: Record, ask: Ask, now: float) -> dict[str, float]:
    seen = {name: min(at, now) for name, at in kept.seen.items() if now - at < limit.window and name != ask.worker}
    return seen if ask.leaves else {**seen, ask.worker: now}


def _left_to_absent(limit: Limit, seen: Mapping[str, float], now: float) -> int:
    absent = sum(now - at > limit.away for at in seen.values())
    return math.ceil(limit.calls * absent / max(1, len(seen)))


def _taken(limit: Limit, kept: Record, ask: Ask, now: float) -> Counter[int]:
    """What counts at *now*, slot by slot."""
    slot = math.floor(now / limit.slot)
    taken = Counter(kept.taken)
    taken = _less(taken, ask.unused) if ask.steady else Counter({slot: min(limit.calls, taken.total())})
    taken.update(math.floor((now - age) / limit.slot) for age in ask.alone)
    return Counter({at: count for at, count in taken.items() if at >= slot - limit.remembered and count})


def _taken_ahead(limit: Limit, kept: Record, ask: Ask, slot: int) -> tuple[Counter[int], int]:
    """What counts of the permits leased ahead, and how many of them are booked anew."""
    early = Counter(kept.ahead)
    if not ask.steady:
        return Counter({slot: min(limit.calls, early.total())} if early else {}), 0
    early = _less(early, ask.unused_ahead)
    moved = sum(min(early[at], count) for at, count in ask.kept_ahead.items())
    early = _less(early, ask.kept_ahead)
    early[slot] += moved
    oldest = slot - limit.remembered - limit.deferred
    return Counter({at: count for at, count in early.items() if at >= oldest and count}), moved


def _less(taken: Counter[int], given_back: Mapping[int, int]) -> Counter[int]:
    return Counter({at: count - min(count, given_back.get(at, 0)) for at, count in taken.items()})


def _wait(limit: Limit, taken: Mapping[int, int], now: float, due: float) -> float:
    """Until the oldest slot leaves the window, or the next routine call is due: whichever is later."""
    oldest = min(taken, default=math.floor(now / limit.slot) - limit.remembered)
    full = sum(taken.values()) >= limit.calls - limit.reserve
    leaves = (oldest + limit.remembered + 1) * limit.slot if full else now
    return max(0.0, leaves - now, due - now)
