"""Who was let through lately, and who may be next. Pure: the time is an argument, nothing is looked up.

Counted are distinct subjects in a sliding window, of each source and type and, for each type, of all sources together.
One too many opens a *flood*, which lasts until an operator ends it: a mistake does not become right by going on slowly.
Meanwhile subjects that were let through may come again, and one new urgent event passes now and then, because a flood
must not keep a dismissed person in. This reserve is empty when a flood opens, so the limit is the most that passes in
the window. The flood of all sources has one reserve, because a source's name is easily made up.

A repeat hits nobody more, and a dismissed person may be dismissed again: it passes. But a source that repeats itself
costs the others time, so more repeats in a window than the people it may hit raise an alert.
"""

import hashlib
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Final, Self

from tasks.events import EVENT_TYPES, Event, SessionsData, StartedData
from tasks.plan import Plan
from tasks.subject_index import SubjectIndex, identifiers
from worker.settings.sections import FloodSettings

FloodKey = tuple[str, str]  # source, event type

ALL: Final = ""  # all sources together; no source has an empty name
UNCOUNTED_DEAD_LETTERS: Final = 8  # of one event, for providers that nobody configured


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody whom one source names in events of one type, under a keyed hash: the counters know nobody."""

    source: str
    event_type: str
    hash: str

    @property
    def key(self) -> FloodKey:
        """Whose limit it counts against."""
        return self.source, self.event_type


@dataclass(frozen=True, slots=True)
class Limits:
    """How many distinct subjects of each event type may pass in *span* seconds."""

    span: float
    of_source: Mapping[str, int]
    of_all: Mapping[str, int]
    reserve: Mapping[str, float]  # seconds between two events of a type that pass during a flood; of others none passes

    @classmethod
    def set_by(cls, settings: FloodSettings) -> Self:
        """The limits that the operator set."""
        of_users, types = {name for name, each in EVENT_TYPES.items() if each.hits_user}, EVENT_TYPES
        revoking = [name for name in of_users if types[name].revokes]
        return cls(
            span=settings.window,
            of_source={each: settings.disabled if each in of_users else settings.ended for each in types},
            of_all={each: settings.disabled_of_all if each in of_users else settings.ended_of_all for each in types},
            reserve=dict.fromkeys(revoking, settings.reserve),
        )

    def of(self, key: FloodKey) -> int:
        """The limit that counts for *key*."""
        source, event_type = key
        return (self.of_all if source == ALL else self.of_source)[event_type]


@dataclass(frozen=True, slots=True)
class Flood:
    """Too many subjects of a source (ALL: of all sources together) and type. Times are seconds since 1970."""

    source: str
    event_type: str
    opened_at: float
    reserve_at: float  # when the reserve was used last

    @property
    def key(self) -> FloodKey:
        """Its source and type."""
        return self.source, self.event_type


@dataclass(slots=True)
class Pending:
    """What the other intakes do not know yet."""

    passed: deque[tuple[Subject, float]] = field(default_factory=deque)
    floods: dict[FloodKey, Flood] = field(default_factory=dict)


class Window:
    """The last *limits.span* seconds; *opened* is called with every flood that begins here."""

    def __init__(
        self, limits: Limits, opened: Callable[[Flood], object], repeated: Callable[[FloodKey], object] = lambda _: None
    ) -> None:
        """*repeated* is called, once a window, with a source and type of more repeats than it may hit people."""
        self.limits, self._opened, self._repeated = limits, opened, repeated
        self.pending = Pending()
        self._passed: OrderedDict[Subject, float] = OrderedDict()
        self._counts: Counter[FloodKey] = Counter()
        self._repeats: Counter[FloodKey] = Counter()
        self._repeats_since = 0.0
        self._floods: Mapping[FloodKey, Flood] = {}

    def knows(self, subject: Subject) -> bool:
        """Whether *subject* was let through lately, and so may come again."""
        return subject in self._passed

    def learn(self, passed: Iterable[tuple[Subject, float]]) -> None:
        """Count whom other intakes let through, and when."""
        for subject, at in passed:
            if subject not in self._passed:
                self._passed[subject] = at
                self._counts.update(_keys(subject))

    def set_floods(self, floods: Iterable[Flood]) -> None:
        """Replace the floods by those that all intakes know; pending ones stay."""
        self._floods = {flood.key: flood for flood in floods} | self.pending.floods

    def forget(self, now: float) -> None:
        """Remove what is older than the window."""
        over, pending = now - self.limits.span, self.pending.passed
        if self._repeats_since <= over:
            self._repeats_since, self._repeats = now, Counter()
        while pending and pending[0][1] <= over:
            pending.popleft()
        while self._passed and next(iter(self._passed.values())) <= over:
            subject, _ = self._passed.popitem(last=False)
            for key in _keys(subject):
                self._counts[key] -= 1
                if not self._counts[key]:
                    del self._counts[key]  # else sources that never come again would stay for ever

    def let_pass(self, subjects: Sequence[Subject], now: float) -> bool:
        """Whether an event that hits *subjects*, all of one source and type, may pass; they are counted if so.

        It passes as a whole or waits as a whole. An event without anybody new is a repeat: it passes, and is counted.
        """
        new = [each for each in subjects if not self.knows(each)]
        if not new:
            self._repeat(subjects[0].key)
            return True
        floods = [self._floods[key] for key in _keys(new[0]) if key in self._floods]
        passes = self._reserve(floods, len(new), now) if floods else not self._opens(new, now)
        if passes:
            passed = [(each, now) for each in new]
            self.learn(passed)
            self.pending.passed.extend(passed)
        return passes

    def _repeat(self, key: FloodKey) -> None:
        self._repeats[key] += 1
        if self._repeats[key] == self.limits.of(key) + 1:
            self._repeated(key)

    def _reserve(self, floods: list[Flood], people: int, now: float) -> bool:
        """Whether the reserve is free; an event that hits several people uses it as many times."""
        pause = self.limits.reserve.get(floods[0].event_type)
        if pause is None or any(now - flood.reserve_at < pause for flood in floods):
            return False
        for flood in floods:
            self._note(replace(flood, reserve_at=now + (people - 1) * pause))
        return True

    def _opens(self, new: Sequence[Subject], now: float) -> bool:
        over = [key for key in _keys(new[0]) if self._counts[key] + len(new) > self.limits.of(key)]
        for key in over[:1]:
            flood = Flood(*key, opened_at=now, reserve_at=now)
            self._note(flood)
            self._opened(flood)
        return bool(over)

    def _note(self, flood: Flood) -> None:
        self.pending.floods[flood.key] = flood
        self._floods = {**self._floods, flood.key: flood}


def flood_id(key: FloodKey) -> str:
    """Eight hex digits by which operators name a source and type."""
    return hashlib.sha256("\n".join(key).encode()).hexdigest()[:8]


def _keys(subject: Subject) -> Iterator[FloodKey]:
    yield subject.key
    yield ALL, subject.event_type


def subjects_of(event: Event, plan: Plan, index: SubjectIndex, *, by_name: bool = False) -> tuple[Subject, ...]:
    """Whom *event* hits by its *plan*: never fewer people than it could log out, or keep logged in.

    Each user id at each provider instance counts, and each reference to a token, which anybody could write; the names
    in the event do not. A sealed token does not count: whoever has it could log its owner out anyway, and sealed again
    it looks different. Where a plan hits nothing else, the person counts by all names together, and without a name by
    the event. What cannot be resolved hits no one, but becomes a dead letter: beyond a few, these count as well.

    *by_name*: names and sessions' ids hit as well, because the session registry knows tokens by them. The second name
    of one kind may be another person's. The start of a session hits no one.
    """
    if isinstance(event.data, StartedData):
        return ()
    targets = [call.target_key for call in plan.calls if call.jwe is None]
    targets += [unit.target_key for unit in plan.units if unit.target_key]  # whose calls it takes back
    person = None if targets else plan.naming["person_key"] or index.target(("", "event", event.id))
    beyond = [index.target((unit.provider, "unit", event.id)) for unit in plan.refused[UNCOUNTED_DEAD_LETTERS:]]
    more = _hit_by_name(event, index) if by_name else ()
    counted = dict.fromkeys(each for each in (*(targets or [person]), *more, *beyond) if each)
    return tuple(Subject(intern(event.source), intern(event.type), each) for each in counted)


def _hit_by_name(event: Event, index: SubjectIndex) -> Iterator[str | None]:
    """Of the names of each kind those after the first, and each id of a session."""
    data = event.data
    if isinstance(data, SessionsData):
        issuer = data.session_issuer or event.source
        yield from (index.session(issuer, each) for each in data.session_ids[1:])
    elif EVENT_TYPES[event.type].revokes:
        seen = set[tuple[str, ...]]()
        for name in identifiers(event):
            if name.names_person and name.scheme in seen:
                yield index.target(("", name.scheme[0], name.value))
            seen.add(name.scheme)
