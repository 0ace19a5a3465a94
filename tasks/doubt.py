"""Doubt about a whole instance: it calls the tokens of many people dead already, and accepts none between.

An instance of another organization or region answers so in the vendor's own words, and so does one behind a gateway
that changes every token: all these tokens may live. The worker and `explain` apply this one rule.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from tasks.call import ProviderCall
from tasks.instants import expiry_of
from tasks.outcome import Reason, Settled, State

PEOPLE: Final = 10
"""Different people: one whose sessions all ended at once is no sign, nor is a team that went home. If an instance knows
living tokens and every second one it is asked about lives, ten dead ones in a row come once in a thousand times."""

WINDOW: Final = timedelta(hours=1)
"""How far apart answers may be and still be of one kind: longer than a burst with its retries takes, and shorter than a
quiet day on which a few sessions were over before their events came."""

NEARLY: Final = timedelta(minutes=5)  # before its expiry that a token may be dead: clocks differ
_UNANSWERED: Final = frozenset({Reason.NET_TIMEOUT, Reason.NET_CONNECT})  # the request may have arrived
KNOWS_LIVING: Final = frozenset({State.ACCEPTED, State.CONFIRMED})
DIED: Final = "died"  # the detail of an outcome by which the ledger knows why its token was dead already
EXPIRED: Final = "expired"
EARLIER_ATTEMPT: Final = "earlier_attempt"


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """An answer of an instance about the token of *person*; *explained*: it is known why it was dead already."""

    at: datetime
    person: str
    state: State
    explained: bool = False


def are_doubtful(answers: Iterable[TokenAnswer]) -> bool:
    """Whether these answers of one instance prove no token dead: none accepted, and PEOPLE people dead already.

    An answer whose cause is known does not count. An accepted token proves that the instance knows living tokens: pass
    the answers between two such proofs.
    """
    dead = set[str]()
    for each in answers:
        if each.state in KNOWS_LIVING:
            return False
        if each.state is State.ALREADY_REVOKED and not each.explained:
            dead.add(each.person)
    return len(dead) >= PEOPLE


def between_proofs(at: datetime, answers: Sequence[TokenAnswer]) -> list[TokenAnswer]:
    """Those of *answers* that were given around *at*, with no proof of a living token between them and that moment."""
    proofs = [each.at for each in answers if each.state in KNOWS_LIVING]
    before = max((proof for proof in proofs if proof <= at), default=at - WINDOW)
    after = min((proof for proof in proofs if proof > at), default=at + WINDOW)
    within = (each for each in answers if max(before, at - WINDOW) <= each.at <= min(after, at + WINDOW))
    return [each for each in within if each.state not in KNOWS_LIVING]


def explained(call: ProviderCall, outcome: Settled, now: datetime, *, came_before: bool = False) -> Settled:
    """*outcome*, with why its token was dead already if known; *came_before*: another worker may have made the call."""
    cause = _cause(call, now, came_before=came_before) if outcome.state is State.ALREADY_REVOKED else None
    return replace(outcome, detail={**outcome.detail, DIED: cause}) if cause else outcome


def _cause(call: ProviderCall, now: datetime, *, came_before: bool) -> str | None:
    expires_at = expiry_of(call.expires_at, call.occurred_at)
    if expires_at is not None and expires_at - now <= NEARLY:
        return EXPIRED
    was_tried = came_before or any(each.reason in _UNANSWERED for each in call.attempts)
    return EARLIER_ATTEMPT if was_tried else None
