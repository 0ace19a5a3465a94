"""Which of our credentials a provider refuses or limits, and until when: their calls wait in the broker meanwhile."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tasks.base import Held
from tasks.outcome import CredentialFault, Outcome, Reason, Transient

HANDFUL: Final = 3  # different calls refused in a row, which open a hold
PROBE_SECONDS: Final = 5.0  # how long one probe may take before the others look again


@dataclass(slots=True)
class _Hold:
    reason: str
    until: float
    strikes: int


class Holds:
    """Opens after a refused credential or a Retry-After, lets one call through as a probe, closes when it succeeds.

    One call refused again and again says something of that call (a provider may answer a dead reference and a dead key
    alike); a handful of them in a row, without a success between, of our credential. Keys are provider instances.
    Only calls made with the worker's own credential may be shown to it: a user's bad token says nothing of ours.
    *first* and *cap* are seconds; the hold doubles with every refused probe. Safe to use from one thread only (the
    event loop's).
    """

    def __init__(
        self,
        first: float,
        cap: float,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first, self._cap = first, cap
        self._clock, self._chance = clock, chance
        self._open: dict[str, _Hold] = {}
        self._refused: dict[str, set[str]] = {}  # provider → calls refused since the last success

    def check(self, provider: str) -> Held | None:
        """Why a call to *provider* has to wait; None lets it go. After the hold's time, one call goes as the probe."""
        hold = self._open.get(provider)
        if hold is None:
            return None
        now = self._clock()
        if now >= hold.until:
            hold.until = now + PROBE_SECONDS
            return None
        return self._held(hold, now)

    def observe(self, provider: str, call_id: str, outcome: Outcome) -> Held | None:
        """Learn from what a call came to; returns the hold where the call itself has to wait."""
        now = self._clock()
        match outcome:
            case CredentialFault(reason=reason):
                self._refused.setdefault(provider, set()).add(call_id)
                if provider in self._open or len(self._refused[provider]) >= HANDFUL:
                    return self._held(self._reopen(provider, reason, now), now)
            case Transient(reason=Reason.HTTP_429, retry_after=float() as asked):
                self._open[provider] = _Hold(Reason.HTTP_429, now + asked, 0)
            case Transient():
                pass  # the provider is unwell, which says nothing of our credential
            case _:
                self._open.pop(provider, None)
                self._refused.pop(provider, None)
        return None

    def is_open(self, provider: str) -> bool:
        """Whether calls to *provider* are held."""
        return provider in self._open

    def _reopen(self, provider: str, reason: str, now: float) -> _Hold:
        strikes = self._open[provider].strikes + 1 if provider in self._open else 1
        wait = min(self._first * 2 ** min(strikes - 1, 16), self._cap)
        self._open[provider] = _Hold(reason, now + wait, strikes)
        return self._open[provider]

    def _held(self, hold: _Hold, now: float) -> Held:
        spread = 1 + 0.25 * self._chance()  # a held crowd must not come back as one
        return Held(hold.reason, max(1, math.ceil((hold.until - now) * spread)))
