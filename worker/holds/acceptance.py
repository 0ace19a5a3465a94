"""What this process saw a provider make of our credential: when it was accepted, and which calls it refused before."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from tasks.doubt import DIED
from tasks.outcome import CredentialFault, Settled, State
from worker.holds.breaker import LATELY

RULE: Final = "key_accepted_between_refusals"
_REMEMBERED: Final = 20_000  # refused calls


class Acceptance:
    """Of one credential. Times are those of a monotonic clock, in seconds.

    A refusal that does not say whether it means our credential or what the call names is decided by order alone: where
    the credential was accepted for another call between two refusals of one call, it is that call's own reference that
    is dead. What a credential was good for before it was revoked decides nothing of calls that came afterwards.
    """

    def __init__(self) -> None:
        self._accepted = -LATELY  # when the last request was sent that it was accepted for
        self._refused: OrderedDict[str, float] = OrderedDict()  # call → when it was refused at first

    def accepted(self, outcome: object, sent: float) -> None:
        """Learn from the *outcome* of a call that was *sent* then."""
        if isinstance(outcome, Settled) and outcome.state in {State.ACCEPTED, State.CONFIRMED}:
            self._accepted = max(self._accepted, sent)

    def judged(self, call_id: str, refusal: CredentialFault, now: float) -> Settled | None:
        """The outcome of a call that is refused again, where it is known that the credential is not meant.

        Nor is the instance in doubt for it, which accepted another call meanwhile.
        """
        first = self._refused.setdefault(call_id, now)
        if len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)
        if not (first < self._accepted and now - self._accepted < LATELY):
            return None
        del self._refused[call_id]
        return Settled(State.ALREADY_REVOKED, "401 twice, key accepted between", {**refusal.detail, DIED: RULE})
