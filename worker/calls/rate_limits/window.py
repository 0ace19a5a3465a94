"""How many calls a credential has left: a sliding window, kept in one small record that all workers change in turn.

Pure: the record and the time come in, the new record and the permits come out.

**What is on record.** At each look a worker reports the calls that it made since its last look, each with its age, and
how many unused permits it holds. Both are bookings, and so are the permits that it gets. What it held at its last look
is booked no more: each of those permits was used, which it reports, or is still held, or has expired.

**The bound.** At most `calls` requests reach the provider in any `window` seconds. Proof: a permit is good for
`permit_ttl` seconds from before its worker looked last, and its request arrives within another `network_jitter`
seconds. Take any window, and the last look that gave a permit for a request in it. All other requests of that window
are on record at that look: as calls made less than `window + network_jitter` seconds ago, or as permits of a worker
that looked at most `permit_ttl` seconds before that. And the look gave no more than `calls` less what is on record.

**Clocks.** Ages on record are never too high. Each worker knows by its own monotonic clock how long ago it first saw a
booking, and takes the higher one of that and of the age on record (`Ages`). So it does not matter who sets the
database's clock. That clock decides only who is absent, when the next routine call is due, and for a worker that has
just begun how long ago the record was written.

**What it costs.** A full queue gets window / (window + network_jitter + slot) of the limit, 97 %. One call in twenty
(at least 1) is kept for urgent ones, so routine ones alone get 92 %. More is not needed, since routine calls give way:
they take nothing while the window is fuller than their part, and they are paced evenly over it, so that an urgent
crowd that has used up the reserve gets the very next calls to leave the window, and not those of a minute later. Urgent
calls are not paced: after a quiet minute the whole limit is theirs at once. The spare permits that workers lease ahead
for urgent calls are a part of the reserve.

**Absent workers.** A worker that did not look for `away` seconds may be going on at its own share, so the others leave
that share alone until it is back and reports what it used, or is forgotten, after a window.
"""

import json
import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Self

_SLOTS: Final = 120  # in a window
_CLOCK_DRIFT: Final = 0.001  # seconds a second: twice what clocks are slewed by (adjtimex(2): 500 parts in a million)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most *calls* requests in any *window* seconds, whichever workers make them. All times are seconds."""

    calls: int
    window: float = 60.0
    permit_ttl: float = 10.0  # how long a permit is good for: a few looks at the ledger, slow ones included
    network_jitter: float = 1.0  # between the fastest and the slowest way of a request to the provider
    look_timeout: float = 1.0  # a ledger that answers later is as good as away

    @property
    def slot(self) -> float:
        """The grain of ages on record."""
        return self.window / _SLOTS

    @property
    def remembered(self) -> float:
        """How long a call counts."""
        return (self.window + self.network_jitter) * (1 + _CLOCK_DRIFT)

    @property
    def period(self) -> float:
        """The time in which `calls` permits are given at most."""
        return self.remembered + self.slot

    @property
    def reserve(self) -> int:
        """What routine calls leave to urgent ones. A limit of 1 has nothing to divide."""
        return min(self.calls - 1, max(1, self.calls // 20))

    @property
    def pace(self) -> float:
        """Between two routine calls."""
        return self.period / (self.calls - self.reserve)

    @property
    def places(self) -> int:
        """How many calls wait in a worker: two seconds' worth, the others stay in the broker."""
        return max(1, round(2 * self.calls / self.window))

    @property
    def away(self) -> float:
        """A worker that did not look for so long goes on at its own share, and the others know."""
        return self.window / 10


class Booking(NamedTuple):
    """Calls that were made, or may yet be made by *worker*. *age* is their lowest, when the record was written."""

    calls: int
    age: float = 0.0
    worker: str = ""  # that holds permits for them; empty: the calls were made
    spare: int = 0  # permits among them that only urgent calls get


@dataclass(frozen=True, slots=True)
class Record:
    """What the database keeps of one credential. Times are seconds since 1970 by the database's clock."""

    bookings: Mapping[int, Booking] = field(default_factory=dict)  # by number
    numbered: int = 0  # how many there ever were: no number comes again
    paced: float = 0.0  # when the next routine call is due
    seen: Mapping[str, float] = field(default_factory=dict)  # worker → when it looked last
    written: float = 0.0

    def dump(self) -> str:
        """As text."""
        bookings = [(number, each.calls, int(each.age * 1000), *each[2:]) for number, each in self.bookings.items()]
        rest = {"numbered": self.numbered, "paced": self.paced, "seen": dict(self.seen), "written": self.written}
        return json.dumps({"bookings": bookings, **rest})

    @classmethod
    def load(cls, text: str) -> Self:
        """From text; an empty one, or one of an earlier release, is a fresh record."""
        kept = json.loads(text or "{}")
        if "bookings" not in kept:
            return cls()
        bookings = {number: Booking(calls, age / 1000, *held) for number, calls, age, *held in kept.pop("bookings")}
        return cls(bookings, **kept)


class Ages:
    """How old bookings are at least, as one worker knows. *moment* is the time of its monotonic clock."""

    def __init__(self) -> None:
        self._born: dict[int, float] | None = None  # None: this worker has just begun

    def known(self, record: Record, now: float, moment: float) -> Record:
        """*record*, loaded at *moment*, which is *now* for the database, with the ages of this moment."""
        passed = max(0.0, now - record.written) if self._born is None else 0.0
        born, aged = self._born or {}, {}
        for number, (calls, age, worker, spare) in record.bookings.items():
            known = moment - born.get(number, moment)
            aged[number] = Booking(calls, max(known, age + passed), worker, spare)
        return replace(record, bookings=aged)

    def remember(self, record: Record, moment: float) -> None:
        """Learn from what was committed: ages are those of *moment*."""
        self._born = {number: moment - each.age for number, each in record.bookings.items()}


@dataclass(frozen=True, slots=True)
class Ask:
    """What one worker needs, and what it reports."""

    worker: str
    urgent: int = 0  # calls that wait
    routine: int = 0  # likewise
    spare: int = 0  # more permits for urgent calls to come
    held: int = 0  # unused permits for any call
    held_spare: int = 0  # unused permits for urgent calls alone
    made: Collection[float] = ()  # ages of the calls made, until a look has confirmed them
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What it gets."""

    permits: int
    workers: int  # that share the limit
    wait: float  # seconds until there may be more; 0 where nothing was refused
    spare: int = 0


def lease(limit: Limit, kept: Record, ask: Ask, now: float) -> tuple[Record, Grant]:
    """What *ask* gets at *now* (the database's clock), and what is to be kept. *kept* has the ages of this moment."""
    seen, booked = _seen(limit, kept, ask, now), _booked(limit, kept, ask)
    held = ask.held + ask.held_spare
    room = limit.calls - share_of_absent(limit, seen, now) - held - sum(each.calls for each in booked.values())
    urgent = max(0, min(ask.urgent, room))
    lying = ask.held_spare + sum(each.spare for each in booked.values() if each.age < limit.permit_ttl)
    due, paced = _paced(limit, kept, now)
    routine = max(0, min(ask.routine, room - urgent - max(0, limit.reserve - lying), paced))
    due += routine * limit.pace
    permits = urgent + routine
    spare = max(0, min(ask.spare, room - permits))
    until_due = max(0.0, due - now) if ask.routine and not ask.urgent else 0.0
    is_refused = permits < ask.urgent + ask.routine
    wait = _wait(limit, booked, held + permits + spare, until_due) if is_refused else 0.0
    number = max(kept.numbered, *booked, 0) + 1
    if not ask.leaves:
        booked[number] = Booking(held + permits + spare, 0.0, ask.worker, ask.held_spare + spare)
    return Record(booked, number, due, seen, now), Grant(permits, max(1, len(seen)), wait, spare)


def _paced(limit: Limit, kept: Record, now: float) -> tuple[float, int]:
    """When the next routine call is, or was, due, and how many are due by now: of those missed two seconds' worth."""
    due = max(now - limit.window / 30, kept.paced) if kept.paced <= now + limit.period else now
    return due, math.floor((now - due) / limit.pace) + 1 if due <= now else 0


def share_of_absent(limit: Limit, seen: Mapping[str, float], now: float) -> int:
    """How many calls are left to the workers out of sight."""
    absent = sum(now - at > limit.away for at in seen.values())
    return math.ceil(limit.calls * absent / max(1, len(seen)))


def _seen(limit: Limit, kept: Record, ask: Ask, now: float) -> dict[str, float]:
    seen = {name: min(at, now) for name, at in kept.seen.items() if now - at < limit.window and name != ask.worker}
    return seen if ask.leaves else {**seen, ask.worker: now}


def _booked(limit: Limit, kept: Record, ask: Ask) -> dict[int, Booking]:
    """What counts: the calls that *ask* reports take the place of what its worker held."""
    made: defaultdict[int, list[float]] = defaultdict(list)
    for age in ask.made:
        made[int(age / limit.slot)].append(age)
    reported = (Booking(len(ages), min(ages)) for ages in made.values())
    booked = {number: each for number, each in kept.bookings.items() if each.worker != ask.worker}
    booked |= dict(enumerate(reported, kept.numbered + 1))
    made_for, held_for = limit.remembered, limit.remembered + limit.permit_ttl
    counts = ((number, each) for number, each in booked.items() if each.calls)
    return {number: each for number, each in counts if each.age < (held_for if each.worker else made_for)}


def _wait(limit: Limit, booked: Mapping[int, Booking], held: int, until_due: float) -> float:
    """Until the oldest call leaves the window, or the next routine call is due: whichever is later."""
    is_full = held + sum(each.calls for each in booked.values()) >= limit.calls - limit.reserve
    oldest = max((each.age for each in booked.values() if not each.worker), default=0.0)
    return max(until_due, limit.remembered - oldest if is_full else 0.0)
