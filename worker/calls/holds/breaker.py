"""The circuit breaker of one provider instance: what a call's outcome means for it, and how many must fail alike. Pure.

What the data of one source of events can bring about holds the calls of that source alone; everybody's wait only where
several sources meet the same. Where others are served, the failures of one source are about what it asks for.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, NamedTuple

from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, Transient
from worker.calls.holds.hold import Hold, Scope


class CallSignal(Enum):
    """What a call shows of its provider and of our credential there, whatever becomes of the call itself."""

    SUCCESS = auto()  # the provider accepted our credential and judged this very call
    ANSWERED = auto()  # it accepted our credential; its answer shows no more
    REFUSED = auto()  # it refuses our own credential
    AMBIGUOUS = auto()  # it refuses our own credential or what the call names; which one is open
    OUTAGE = auto()  # it did not answer, or its server is broken
    NOT_FOUND = auto()  # it does not know what the call is about, or we asked in the wrong place
    PAUSE = auto()  # it asked everybody to wait
    NOTHING = auto()


_EVIDENCE_NOT_FOUND: Final = "404"  # where a 404 is configured to settle a call
_JUDGED: Final = ("http.4xx.", "auth.", Reason.PROVIDER_RESCODE)


def signal_of(outcome: Outcome) -> CallSignal:
    """Return the signal of *outcome*: NOTHING for a call that was not sent, or answered by an unknown party."""
    match outcome:
        case CredentialFault(is_ambiguous=is_ambiguous):
            return CallSignal.AMBIGUOUS if is_ambiguous else CallSignal.REFUSED
        case Settled(evidence=evidence):
            return CallSignal.ANSWERED if evidence == _EVIDENCE_NOT_FOUND else CallSignal.SUCCESS
        case Transient(reason=Reason.HTTP_429, retry_after=float()):
            return CallSignal.PAUSE
        case Transient(reason=reason):
            is_outage = reason.startswith("net.") or reason == Reason.HTTP_5XX
            is_served = reason == Reason.PROVIDER_IN_PROGRESS  # it took our request on, and has more to do
            return CallSignal.OUTAGE if is_outage else CallSignal.SUCCESS if is_served else CallSignal.NOTHING
        case Permanent(reason=Reason.PROVIDER_NOT_FOUND | Reason.PROVIDER_NO_ENDPOINT):
            return CallSignal.NOT_FOUND
        case Permanent(reason=reason):
            return CallSignal.SUCCESS if reason.startswith(_JUDGED) else CallSignal.NOTHING


PERMITTED_CALLS: Final = 3  # until our credential is known to work; as many refusals prove that it does not
TRIP_AFTER: Final[Mapping[CallSignal, int]] = {
    CallSignal.REFUSED: PERMITTED_CALLS,
    CallSignal.AMBIGUOUS: 10,  # different calls: a few dead references in a row are an everyday matter
    CallSignal.OUTAGE: 5,  # different calls
    CallSignal.NOT_FOUND: 10,  # ten different people unknown: probably the wrong host
    CallSignal.PAUSE: 5,  # different people whose own tokens may not ask so often
}
SUCCESS_COUNTS_FOR: Final = 300.0  # seconds in which a success speaks for the provider and our credential there
_MAX_SOURCES: Final = 1000  # their names are their own choice

OF_OUR_CREDENTIAL: Final = frozenset({CallSignal.REFUSED, CallSignal.AMBIGUOUS})
BY_DATA: Final = frozenset({CallSignal.NOT_FOUND, CallSignal.AMBIGUOUS, CallSignal.PAUSE})
"""What the data of a single source of events can bring about, at a provider that is well."""

_OF_PEOPLE: Final = frozenset({CallSignal.NOT_FOUND, CallSignal.PAUSE})  # the rest counts calls
_DISPROVES: Final[Mapping[CallSignal, tuple[CallSignal, ...]]] = {
    CallSignal.REFUSED: (CallSignal.OUTAGE,),
    CallSignal.AMBIGUOUS: (CallSignal.OUTAGE,),
    CallSignal.NOT_FOUND: (CallSignal.OUTAGE, CallSignal.REFUSED),
    CallSignal.ANSWERED: (CallSignal.OUTAGE, CallSignal.REFUSED),
}

CLOSED_BY: Final[Mapping[CallSignal, frozenset[CallSignal]]] = {
    CallSignal.REFUSED: frozenset({CallSignal.SUCCESS, CallSignal.NOT_FOUND, CallSignal.ANSWERED}),
    CallSignal.AMBIGUOUS: frozenset({CallSignal.SUCCESS}),
    CallSignal.OUTAGE: frozenset(CallSignal) - {CallSignal.OUTAGE, CallSignal.NOTHING},
    CallSignal.NOT_FOUND: frozenset({CallSignal.SUCCESS}),
}
"""The cause of a hold → the signals of a probe that end it. The cause again is a failed probe."""


def cause_of(hold: Hold) -> CallSignal:
    """Return the signal for which the breaker opened *hold*."""
    match hold.reason:
        case Reason.AUTH_UNAUTHORIZED if hold.source:  # a refusal that is certainly our credential's holds every source
            return CallSignal.AMBIGUOUS
        case Reason.AUTH_UNAUTHORIZED | Reason.AUTH_FORBIDDEN:
            return CallSignal.REFUSED
        case Reason.PROVIDER_NOT_FOUND | Reason.PROVIDER_NO_ENDPOINT:
            return CallSignal.NOT_FOUND
        case _:
            return CallSignal.OUTAGE


@dataclass(frozen=True, slots=True)
class Observation:
    """A signal, of which call of which source, about whom; *own_credential*: made with the worker's own."""

    signal: CallSignal
    call_id: str
    subject: str
    own_credential: bool
    source: str = ""


class Trip(NamedTuple):
    """Which calls to hold; *source*: only those that it asked for, empty: everybody's."""

    scope: Scope
    source: str


@dataclass(slots=True)
class _Streak:
    seen: OrderedDict[str, set[str]] = field(default_factory=OrderedDict)  # source → different calls, or people
    users_succeeded: bool = False  # calls with the users' own tokens, meanwhile

    def add(self, source: str, what: str, limit: int) -> None:
        different = self.seen.setdefault(source, set())
        if len(different) < limit:
            different.add(what)
        if len(self.seen) > _MAX_SOURCES:
            self.seen.popitem(last=False)

    def is_shared(self, each: int) -> bool:
        """Whether two sources have met it, *each* with so many."""
        return sum(len(what) >= each for what in self.seen.values()) > 1


class Breaker:
    """Learns from every call. *clock* is monotonic, in seconds.

    The same call, or the same person, again and again is about that call only; different ones in a row,
    without a success between, of the provider, of our credential, or of the source that asks. What users' own tokens
    come to proves nothing of our credential; and where these calls succeed while ours do not, only ours are held.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._streaks: dict[tuple[CallSignal, bool], _Streak] = {}
        self._served: OrderedDict[tuple[str, bool], float] = OrderedDict()  # source, own credential → its last success

    def observe(self, seen: Observation) -> Trip | None:
        """Return which calls to hold from now on; None: no reason to."""
        if seen.signal is CallSignal.SUCCESS:
            self._succeeded(seen)
        for disproved in _DISPROVES.get(seen.signal, ()):
            self._streaks.pop((disproved, seen.own_credential), None)
        return self._count(seen) if _counts(seen) else None

    def reset(self) -> None:
        """Forget what led to a hold that is over."""
        self._streaks.clear()

    def renew(self) -> None:
        """Forget everything: another credential is in force."""
        self._streaks.clear()
        self._served.clear()

    def _count(self, seen: Observation) -> Trip | None:
        streak = self._streaks.setdefault((seen.signal, seen.own_credential), _Streak())
        limit = TRIP_AFTER[seen.signal]
        streak.add(seen.source, seen.subject if seen.signal in _OF_PEOPLE else seen.call_id, limit)
        only_ours = seen.signal in OF_OUR_CREDENTIAL or (seen.own_credential and streak.users_succeeded)
        source = self._source_to_hold(seen, streak, limit)
        return None if source is None else Trip(Scope.WORKER if only_ours else Scope.ALL, source)

    def _source_to_hold(self, seen: Observation, streak: _Streak, limit: int) -> str | None:
        """The source whose calls are to be held; empty: everybody's; None: nobody's."""
        is_of_source = len(streak.seen[seen.source]) >= limit
        is_of_all = sum(map(len, streak.seen.values())) >= limit
        if seen.signal is CallSignal.AMBIGUOUS:  # dead references are an everyday matter for every source
            return seen.source if is_of_source and not self._are_served(seen, others=False) else None
        if is_of_all and streak.is_shared(PERMITTED_CALLS if seen.signal in BY_DATA else 1):
            return ""
        if seen.signal in BY_DATA:
            return seen.source if is_of_source and not self._are_served(seen) else None
        if not is_of_all:
            return None
        return seen.source if seen.signal is CallSignal.OUTAGE and self._are_served(seen) else ""

    def _are_served(self, seen: Observation, *, others: bool = True) -> bool:
        """Whether calls of *others*, or of anybody, succeeded lately, in a way that speaks for calls like this one."""
        since = self._clock() - SUCCESS_COUNTS_FOR
        return any(
            at > since and (own or not seen.own_credential) and not (others and source == seen.source)
            for (source, own), at in self._served.items()
        )

    def _succeeded(self, seen: Observation) -> None:
        self._served[seen.source, seen.own_credential] = self._clock()
        self._served.move_to_end((seen.source, seen.own_credential))
        if len(self._served) > _MAX_SOURCES:
            self._served.popitem(last=False)
        for (signal, own), streak in list(self._streaks.items()):
            if seen.own_credential or not own:
                del self._streaks[signal, own]
            else:
                streak.users_succeeded = True


def _counts(seen: Observation) -> bool:
    """A pause that is asked of our own credential needs no second one; a user's token proves nothing of ours."""
    if seen.signal is CallSignal.PAUSE:
        return not seen.own_credential
    return seen.signal in TRIP_AFTER and (seen.own_credential or seen.signal not in OF_OUR_CREDENTIAL)
