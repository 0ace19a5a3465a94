"""What the outcome of one call says of its provider, of our credential there, or of nothing but the call itself."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, Transient

if TYPE_CHECKING:
    from worker.calls.holds.hold import Hold

_NOT_FOUND_AND_SETTLED: Final = "404"  # the evidence where a 404 is configured to settle a call


class Symptom(Enum):
    """What is learnt from a call, whatever becomes of the call itself."""

    WELL = auto()  # the provider took our word and judged this very call
    ANSWERED = auto()  # it took our word; what it said tells no more
    REFUSED = auto()  # it refuses our own credential
    AMBIGUOUS = auto()  # it refuses our own credential or what the call names, and does not say which
    OUTAGE = auto()  # nobody answered, or somebody who is broken
    NOT_FOUND = auto()  # it does not know what the call is about, or we asked in the wrong place
    PAUSE = auto()  # it asked everybody to wait
    NOTHING = auto()


def symptom(outcome: Outcome) -> Symptom:
    """The symptom that *outcome* is. A call that could not even be sent, or was answered by who knows whom: nothing."""
    match outcome:
        case CredentialFault(is_ambiguous=is_ambiguous):
            return Symptom.AMBIGUOUS if is_ambiguous else Symptom.REFUSED
        case Settled(evidence=evidence):
            return Symptom.ANSWERED if evidence == _NOT_FOUND_AND_SETTLED else Symptom.WELL
        case Transient(reason=Reason.HTTP_429, retry_after=float()):
            return Symptom.PAUSE
        case Transient(reason=reason):
            return Symptom.OUTAGE if reason.startswith("net.") or reason == Reason.HTTP_5XX else Symptom.NOTHING
        case Permanent(reason=Reason.PROVIDER_NOT_FOUND | Reason.PROVIDER_NO_ENDPOINT):
            return Symptom.NOT_FOUND
        case Permanent(reason=reason):
            return Symptom.WELL if reason.startswith(_JUDGED) else Symptom.NOTHING


_JUDGED: Final = ("http.4xx.", "auth.", Reason.PROVIDER_RESCODE)


OF_OUR_CREDENTIAL: Final = frozenset({Symptom.REFUSED, Symptom.AMBIGUOUS})
BY_DATA: Final = frozenset({Symptom.NOT_FOUND, Symptom.AMBIGUOUS, Symptom.PAUSE})
"""What the data of a single source of events can bring about, at a provider that is well."""


def behind(hold: Hold) -> Symptom:
    """The symptom for which the breaker opened *hold*."""
    if hold.source and hold.reason == Reason.AUTH_UNAUTHORIZED:
        return Symptom.AMBIGUOUS  # a refusal that is certainly our credential's holds every source
    return _BEHIND.get(hold.reason, Symptom.OUTAGE)


_BEHIND: Final[Mapping[str, Symptom]] = {
    Reason.AUTH_UNAUTHORIZED: Symptom.REFUSED,
    Reason.AUTH_FORBIDDEN: Symptom.REFUSED,
    Reason.PROVIDER_NOT_FOUND: Symptom.NOT_FOUND,
    Reason.PROVIDER_NO_ENDPOINT: Symptom.NOT_FOUND,
}

HEALED_BY: Final[Mapping[Symptom, frozenset[Symptom]]] = {
    Symptom.REFUSED: frozenset({Symptom.WELL, Symptom.NOT_FOUND, Symptom.ANSWERED}),
    Symptom.AMBIGUOUS: frozenset({Symptom.WELL}),
    Symptom.OUTAGE: frozenset(Symptom) - {Symptom.OUTAGE, Symptom.NOTHING},
    Symptom.NOT_FOUND: frozenset({Symptom.WELL}),
}
"""Of what opened a hold: the symptoms of a probe that end it. The same symptom again is a strike."""
