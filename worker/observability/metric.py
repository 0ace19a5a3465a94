"""Kinds of metrics, and the closed set of each label's values.

A value is a plain number, changed by the thread that works and read by the one that is scraped: to count costs a call
one or two function calls and no lock. So each metric is written by one thread of a process.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from importlib.metadata import version
from typing import ClassVar, Final

from tasks.doors import Word
from tasks.doors.swept import Finding
from tasks.events import EVENT_TYPES, RejectionCode
from tasks.outcome import SETTLED, Reason, event_reason, http_reason
from tasks.providers import operations

UNKNOWN: Final = "unknown"  # stands for a name that no setting knows
OTHER: Final = "other"  # stands for what is in no closed set of ours
NO_ANSWER: Final = "none"  # the class of the status of a call that got no answer, or was not sent
INTAKE, WORKER, RECORDER, CONSOLE, DOOR, SWEEP = "intake", "worker", "recorder", "console", "door", "sweep"
LDAP: Final = "ldap"
PROCESSES: Final = (INTAKE, WORKER, RECORDER)  # those that an installation cannot do without
EVERY_PROCESS: Final = (*PROCESSES, CONSOLE, DOOR, SWEEP, LDAP)
DOORS: Final = (DOOR, SWEEP, LDAP)  # the processes by which events of doors come in

Labels = tuple[str, ...]  # the values, in the order of the metric's names
Figures = Mapping[tuple[str | None, ...], float]
"""By label values that are not closed yet."""


class EventOutcome(StrEnum):
    """What became of a message in the intake."""

    PLANNED = "planned"
    KNOWN = "known"  # published before
    HELD_BACK = "held_back"  # part of a flood
    REFUSED = "refused"  # no event that we could take
    DENIED = "denied"  # not for its source to say


IN_PART: Final = "in_part"  # a success that leaves something alive
IN_PROGRESS: Final = "in_progress"  # the provider took the request on, and is not done
_STATUS_CODES: Final = range(400, 500)
# Label → its values. Those of `provider`, `source`, `queue` and `door` are an installation's own: see `allow`.
CLOSED: Final[dict[str, frozenset[str]]] = {
    "provider": frozenset(),
    "source": frozenset(),
    "queue": frozenset(),
    "door": frozenset(),
    "process": frozenset(EVERY_PROCESS),
    "word": frozenset(Word),
    "finding": frozenset(Finding),
    "version": frozenset({version("revoker")}),
    "event_type": frozenset(EVENT_TYPES),
    "operation": frozenset(operations()),
    "outcome": frozenset({*EventOutcome, *SETTLED, IN_PART, IN_PROGRESS, "transient", "permanent", "credentialfault"}),
    "code_class": frozenset({*(f"{n}xx" for n in range(1, 6)), NO_ANSWER}),
    "reason": frozenset({*Reason, *map(http_reason, _STATUS_CODES), *map(event_reason, RejectionCode)}),
}
_ELSE: Final[Mapping[str, str]] = dict.fromkeys(("provider", "source", "queue", "door"), UNKNOWN)


def allow(label: str, names: Iterable[str]) -> None:
    """Have *names* be the values of *label* from now on; every other one is `unknown`."""
    CLOSED[label] = frozenset(names)


def _closed(label: str, value: str | None) -> str:
    """*value* where it is one of *label*'s; empty where there is none, which Prometheus takes for no label."""
    if not value:
        return ""
    return str(value) if value in CLOSED[label] else _ELSE.get(label, OTHER)


class Metric:
    """A metric: its name, what it says, the names of its labels, and which processes show it."""

    kind: ClassVar[str]

    def __init__(self, name: str, says: str, *labels: str, of: Sequence[str]) -> None:
        self.name, self.help, self.labels, self.processes = name, says, labels, tuple(of)

    def closed(self, values: Sequence[str | None]) -> Labels:
        """*values* with each replaced that is in no closed set. Raises ValueError where one is missing."""
        return tuple(_closed(label, value) for label, value in zip(self.labels, values, strict=True))


class Counter(Metric):
    """How often something happened, since the process started."""

    kind = "counter"

    def __init__(self, name: str, says: str, *labels: str, of: Sequence[str]) -> None:
        super().__init__(name, says, *labels, of=of)
        self._values: defaultdict[Labels, int] = defaultdict(int)

    def add(self, *values: str, count: int = 1) -> None:
        """Count *count* more; with 0 it is shown from now on, so that the first one is a change."""
        self._values[values if values in self._values else self.closed(values)] += count

    def values(self) -> Mapping[Labels, float]:
        """The counts, by label values."""
        return dict(self._values)


class Histogram(Metric):
    """How long something took, in seconds: how many took no longer than each of *buckets*."""

    kind = "histogram"

    def __init__(self, name: str, says: str, *labels: str, of: Sequence[str], buckets: Sequence[float]) -> None:
        super().__init__(name, says, *labels, of=of)
        self.buckets = tuple(buckets)
        # Of each bucket, and of what took longer, how many; and last the sum of all seconds.
        self._values: defaultdict[Labels, list[float]] = defaultdict(lambda: [0.0] * (len(self.buckets) + 2))

    def observe(self, seconds: float, *values: str) -> None:
        """Count one that took *seconds*."""
        found = self._values[values if values in self._values else self.closed(values)]
        found[bisect_left(self.buckets, seconds)] += 1
        found[-1] += seconds

    def values(self) -> Mapping[Labels, tuple[Sequence[float], float]]:
        """By label values: the counts of each bucket alone, the last one of what took longer; and the sum."""
        return {labels: (found[:-1], found[-1]) for labels, found in dict(self._values).items()}


class Gauge(Metric):
    """How something stands."""

    kind = "gauge"

    def __init__(
        self, name: str, says: str, *labels: str, of: Sequence[str], merge: Callable[[float, float], float] = max
    ) -> None:
        """*merge* makes one of several values whose labels are the same once they are closed."""
        super().__init__(name, says, *labels, of=of)
        self._merge = merge
        self._read: Callable[[], Figures] = dict

    def follow(self, read: Callable[[], Figures]) -> None:
        """Have it stand where *read* says: called by the thread that is scraped, so it only reads what is in memory."""
        self._read = read

    def values(self) -> Mapping[Labels, float]:
        """How it stands, by label values."""
        found: dict[Labels, float] = {}
        for values, value in self._read().items():
            labels = self.closed(values)
            found[labels] = self._merge(value, found[labels]) if labels in found else value
        return found
