"""The guard: what stands between a task and a provider call. It lets the call go or wait, and learns from it."""

from __future__ import annotations

import math
import os
import random
import socket
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tasks.base import Held
from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, Transient
from worker.holds.board import Board, Standing
from worker.holds.breaker import Breaker, Sighting
from worker.holds.hold import Hold, Key, Opener, Scope
from worker.holds.sharing import SharedBoard, utc_now
from worker.holds.symptoms import HEALED_BY, Symptom, behind, symptom
from worker.holds.trial import Trial
from worker.ledger.desk import Desk

if TYPE_CHECKING:
    from tasks.call import ProviderCall

Verdict = Settled | Transient | Permanent | Held

DOUBT: Final = 3.0  # seconds a refused call waits to learn whether the others are refused as well
TO_QUEUE: Final = 2  # seconds after which a call in hand is back in its queue, where it waits for as long as it takes
BY_OPERATOR: Final = "hold.operator"


@dataclass(frozen=True, slots=True)
class Terms:
    """How long holds last, in seconds, and what must be known of the providers."""

    first: float  # until the first probe; it doubles with each that fails
    cap: float
    longest_pause: float  # that a provider's Retry-After is honoured
    leases: Mapping[str, float]  # provider → how long a probe there may take
    worker_only: frozenset[str]  # providers all of whose calls are made with the worker's own credential


class Guard:
    """Of all providers of this process. To be used on one event loop, but for `shuts` and `may_probe`."""

    def __init__(self, terms: Terms, desk: Desk, chance: Callable[[], float] = random.random) -> None:
        self._terms = terms
        self._chance = chance
        longest = max(terms.cap, terms.longest_pause, *terms.leases.values(), 0)
        self._board = Board(terms.worker_only, longest, time.monotonic, utc_now)
        self._shared = SharedBoard(self._board, desk, self._on_ended)
        self._breakers: defaultdict[str, Breaker] = defaultdict(Breaker)
        self._trials: defaultdict[str, Trial] = defaultdict(Trial)
        self.shuts, self.may_probe = self._board.shuts, self._board.may_probe
        self.start, self.stop = self._shared.start, self._shared.stop
        self.on_opened: Callable[[], object] = lambda: None  # called on the event loop, whenever a hold is opened here

    async def attempt(self, call: ProviderCall, make: Callable[[], Awaitable[Outcome]], *, ours: bool) -> Verdict:
        """What *make* makes of *call*, or why it has to wait; *ours*: it uses the worker's own credential."""
        admitted = await self._admit(call.provider, ours=ours)
        if isinstance(admitted, Held):
            return admitted
        with self._trials[call.provider].inside() if ours else nullcontext():
            outcome = await make()
        if isinstance(outcome, CredentialFault) and not ours:  # a contradiction: an operator must look
            return Permanent(outcome.reason, outcome.detail)
        seen = Sighting(symptom(outcome), call.call_id, _subject(call), ours)
        self._learn(call.provider, seen, outcome, admitted)
        return await self._verdict(call.provider, seen, outcome, is_probe=bool(admitted))

    def credential_changed(self, provider: str) -> None:
        """Have what the worker's own credential was refused for probed at once: another one is in force."""
        for standing in self._board.blocking(provider, ours=True):
            if standing.hold.is_probed and behind(standing.hold.reason) is Symptom.REFUSED:
                self._shared.alter(standing.hold, 0.0)

    async def _admit(self, provider: str, *, ours: bool) -> Sequence[Hold] | Held:
        """The holds that this call is to probe, most often none; or why it has to wait."""
        if ours and not (trial := self._trials[provider]).has_room:
            await trial.until(lambda: trial.has_room or bool(self._board.blocking(provider, ours=True)))
        blocking = self._board.blocking(provider, ours=ours)
        return await self._claim(blocking) if blocking else ()

    async def _claim(self, blocking: Sequence[Standing]) -> Sequence[Hold] | Held:
        if not all(each.hold.is_probed and self._board.seconds_left(each) == 0 for each in blocking):
            return self._held(blocking)
        lease = self._terms.leases[blocking[0].hold.provider]
        claimed = [await self._shared.claim(each.hold, lease) for each in blocking]
        granted = [hold for hold in claimed if hold is not None]
        return granted if len(granted) == len(blocking) else self._held(blocking)

    def _held(self, blocking: Sequence[Standing], *, tried: bool = False) -> Held:
        """Where the whole queue waits the call goes back to it at once; else it comes again when the hold may be over.

        Up to a quarter later: a held crowd must not come back as one.
        """
        first = blocking[0].hold
        reason = BY_OPERATOR if first.opened_by is Opener.OPERATOR else first.reason
        if self._board.shuts(first.provider):
            return Held(reason, TO_QUEUE, tried=tried)
        left = min(max(map(self._board.seconds_left, blocking)), self._terms.cap)
        return Held(reason, max(1, math.ceil(left * (1 + 0.25 * self._chance()))), tried=tried)

    def _learn(self, provider: str, seen: Sighting, outcome: Outcome, probed: Sequence[Hold]) -> None:
        if seen.symptom is Symptom.PAUSE:
            self._pause(provider, _asked(outcome, self._terms.longest_pause))
        for hold in probed:
            self._end_probe(hold, seen.symptom)
        if seen.ours:
            self._trials[provider].learn(seen.symptom)
        if scope := self._breakers[provider].observe(seen):
            self._trip(provider, scope, outcome)

    def _pause(self, provider: str, wait: float) -> None:
        standing = self._board.get((provider, Scope.ALL, Opener.PROVIDER))
        if standing is None and wait:
            self._open((provider, Scope.ALL, Opener.PROVIDER), Reason.HTTP_429, wait)
        elif standing and wait > self._board.seconds_left(standing):
            self._shared.alter(standing.hold, wait)

    def _end_probe(self, hold: Hold, found: Symptom) -> None:
        cause = behind(hold.reason)
        if found in HEALED_BY[cause]:
            self._shared.end(hold)
        elif found is cause:
            self._shared.alter(replace(hold, strikes=hold.strikes + 1), self._wait(hold.strikes + 1))
        else:  # nothing learnt of it
            self._shared.alter(hold, self._wait(1))

    def _trip(self, provider: str, scope: Scope, outcome: Outcome) -> None:
        if any(self._board.get((provider, wide, Opener.BREAKER)) for wide in {scope, Scope.ALL}):
            return
        reason = Reason.PROVIDER_NOT_FOUND if isinstance(outcome, Settled) else outcome.reason
        wait = max(self._wait(1), _asked(outcome, self._terms.longest_pause))
        self._open((provider, scope, Opener.BREAKER), reason, wait, strikes=1)
        self._trials[provider].tell()

    def _open(self, key: Key, reason: str, wait: float, strikes: int = 0) -> None:
        now = utc_now()
        self._shared.open(Hold(*key, _me(), reason, now, now + timedelta(seconds=wait), strikes), wait)
        self.on_opened()

    def _wait(self, strikes: int) -> float:
        """Seconds until a probe: doubled with each strike, with up to a quarter on top, capped."""
        terms = self._terms
        return min(terms.cap, terms.first * 2.0 ** min(strikes - 1, 16) * (1 + 0.25 * self._chance()))

    async def _verdict(self, provider: str, seen: Sighting, outcome: Outcome, *, is_probe: bool) -> Verdict:
        """What the call came to; where its failure is the provider's or our credential's, it waits and burns nothing.

        A refusal among successes may be about this call alone: it is tried again, and some day given up.
        """
        if seen.symptom is Symptom.REFUSED:
            await self._trials[provider].verdict(lambda: bool(self._behind(provider, seen)), DOUBT)
        blamed = self._behind(provider, seen)
        if blamed and (is_probe or seen.symptom is not Symptom.OUTAGE):
            return self._held(blamed, tried=True)
        return Transient(outcome.reason, detail=outcome.detail) if isinstance(outcome, CredentialFault) else outcome

    def _behind(self, provider: str, seen: Sighting) -> list[Standing]:
        """The breaker's holds that stand for what was seen."""
        blocking = self._board.blocking(provider, ours=seen.ours)
        return [each for each in blocking if each.hold.is_probed and behind(each.hold.reason) is seen.symptom]

    def _on_ended(self, provider: str) -> None:
        self._breakers[provider].reset()
        self._trials[provider].tell()


def _asked(outcome: Outcome, longest: float) -> float:
    """Seconds the provider asked us to wait, within reason."""
    return min(outcome.retry_after or 0.0, longest) if isinstance(outcome, Transient) else 0.0


def _subject(call: ProviderCall) -> str:
    return call.user_id or " ".join(call.subject_keys) or call.call_id


def _me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
