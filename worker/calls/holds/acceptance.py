"""What this process saw a provider make of our credential: when it was accepted, and which calls it refused before."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from tasks.doubt import DIED
from tasks.outcome import CredentialFault, Settled, State
from worker.calls.holds.breaker import LATELY

RULE: Final = "key_accepted_between_refusals"
REFUSALS: Final = 3  # of one call: by the last, other calls have told whether the provider is fickle
_REMEMBERED: Final = 20_000  # refused calls


@dataclass(frozen=True, slots=True)
class _Refusals:
    first: float
    count: int


class Acceptance:
    """Of one credential. Times are those of a monotonic clock, in seconds.

    A refusal that does not say whether it means our credential or what the call names is decided by order alone: where
    the credential was accepted for another call between the refusals of one call, it is that call's own reference that
    is dead. What a credential was good for before it was revoked decides nothing of calls that came afterwards.

    Where a call is accepted that was refused before, the provider itself is fickle (one of its servers has not heard of
    the key yet): then refusals decide nothing for a while.
    """

    def __init__(self) -> None:
        self.last = -LATELY  # when the latest request was sent of those that are known to be accepted
        self._fickle_until = -math.inf
        self._refused: OrderedDict[str, _Refusals] = OrderedDict()

    def accepted(self, call_id: str, outcome: object, sent: float) -> None:
        """Learn from the *outcome* of a call that was *sent* then."""
        if not (isinstance(outcome, Settled) and outcome.state in {State.ACCEPTED, State.CONFIRMED}):
            return
        self.last = max(self.last, sent)
        if self._refused.pop(call_id, None):
            self._fickle_until = sent + LATELY

    def judged(self, call_id: str, refusal: CredentialFault, proof: float, now: float) -> Settled | None:
        """The outcome of a call that is refused again, where it is known that the credential is not meant.

        *proof* is `last` as it was when this call was sent. Nor is the instance in doubt for it, which accepted other
        calls meanwhile.
        """
        before = self._refused.get(call_id, _Refusals(now, 0))
        self._refused[call_id] = known = _Refusals(before.first, before.count + 1)
        if len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)
        is_proved = known.first < proof and now - proof < LATELY
        if not is_proved or known.count < REFUSALS or now < self._fickle_until:
            return None
        del self._refused[call_id]
        return Settled(State.ALREADY_REVOKED, "401 three times, key accepted between", {**refusal.detail, DIED: RULE})
