"""The guard: what stands between a task and a provider call. It lets the call go or wait, and learns from it."""

from __future__ import annotations

import asyncio
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
from functools import partial
from typing import TYPE_CHECKING, Final

from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, Transient
from tasks.runtime import Held
from worker.calls.holds.breaker import Sighting, Trip
from worker.calls.holds.hold import Hold, Key, Opener, Scope
from worker.calls.holds.knowledge import Known
from worker.calls.holds.registry import Board, Standing
from worker.calls.holds.symptoms import HEALED_BY, OF_OUR_CREDENTIAL, Symptom, behind, symptom
from worker.calls.holds.sync import SharedBoard, utc_now
from worker.database.thread import DatabaseThread

if TYPE_CHECKING:
    from tasks.call import ProviderCall

Verdict = Settled | Transient | Permanent | Held

DOUBT: Final = 3.0  # seconds a refused call waits to learn whether the others are refused as well
YIELDING: Final = 0.5  # seconds a source whose call was a probe in vain leaves to those of others
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

    def __init__(self, terms: Terms, thread: DatabaseThread, chance: Callable[[], float] = random.random) -> None:
        self._terms = terms
        self._chance = chance
        longest = max(terms.cap, terms.longest_pause, *terms.leases.values(), 0)
        self._board = Board(terms.worker_only, longest, time.monotonic, utc_now)
        self._shared = SharedBoard(self._board, thread, self._on_ended)
        self._known: defaultdict[str, Known] = defaultdict(Known)
        self._failed: dict[Key, str] = {}  # hold → the source whose call was its last probe, in vain
        self.shuts, self.may_probe = self._board.shuts, self._board.may_probe
        self.start, self.stop = self._shared.start, self._shared.stop
        self.on_opened: Callable[[], object] = lambda: None  # called on the event loop, whenever a hold is opened here

    async def attempt(self, call: ProviderCall, make: Callable[[], Awaitable[Outcome]], *, ours: bool) -> Verdict:
        """What *make* makes of *call*, or why it has to wait; *ours*: it uses the worker's own credential."""
        admitted = await self._admit(call, ours=ours)
        if isinstance(admitted, Held):
            return admitted
        known, sent = self._known[call.provider], time.monotonic()
        era, proof = known.era, known.acceptance.last
        with known.room(call.source, is_doubted=self._is_doubted(call)) if ours else nullcontext():
            outcome = await make()
        if isinstance(outcome, CredentialFault) and not ours:  # a contradiction: an operator must look
            return Permanent(outcome.reason, outcome.detail)
        if isinstance(outcome, CredentialFault) and era != known.era:  # of the one that was in force before
            return Transient(outcome.reason, detail=outcome.detail)
        if era == known.era:
            known.acceptance.accepted(call.call_id, outcome, sent)
        seen = Sighting(symptom(outcome), call.call_id, _subject(call), ours, call.source)
        self._learn(call.provider, seen, outcome, admitted)
        return await self._verdict(call.provider, seen, outcome, proof, is_probe=bool(admitted))

    def credential_changed(self, provider: str) -> None:
        """Have what the worker's own credential was refused for probed at once: another one is in force."""
        self._known[provider].renew()
        for standing in self._board.of(provider):
            if standing.hold.is_probed and behind(standing.hold) in OF_OUR_CREDENTIAL:
                self._shared.alter(standing.hold, 0.0)

    def waits(self, call: ProviderCall, *, ours: bool) -> Held | None:
        """Why *call* has to wait, where that is known before it has waited for anything else."""
        standing = self._board.blocking(call.provider, ours=ours, source=call.source)
        if not standing or self._is_due(standing) or _goes_in_doubt(call, standing):
            return None
        return self._held(standing)

    async def _admit(self, call: ProviderCall, *, ours: bool) -> Sequence[Hold] | Held:
        """The holds that this call is to probe, most often none; or why it has to wait."""
        blocking = partial(self._board.blocking, call.provider, ours=ours, source=call.source)
        if ours and not (trial := self._known[call.provider].trial).has_room:
            await trial.until(lambda: trial.has_room or bool(blocking()))
        if not (standing := blocking()):
            return ()
        if _goes_in_doubt(call, standing):
            wait = self._known[call.provider].pace(call.source).wait()
            return Held(standing[0].hold.reason, wait) if wait else ()
        if self._is_due(standing) and any(self._failed.get(each.hold.key) == call.source for each in standing):
            await asyncio.sleep(YIELDING)  # to a call of another source, which would tell more
            standing = blocking()
        return await self._claim(standing) if standing else ()

    async def _claim(self, blocking: Sequence[Standing]) -> Sequence[Hold] | Held:
        if not self._is_due(blocking):
            return self._held(blocking)
        lease = self._terms.leases[blocking[0].hold.provider]
        claimed = [await self._shared.claim(each.hold, lease) for each in blocking]
        granted = [hold for hold in claimed if hold is not None]
        return granted if len(granted) == len(blocking) else self._held(blocking)

    def _is_due(self, blocking: Sequence[Standing]) -> bool:
        return all(each.hold.is_probed and self._board.seconds_left(each) == 0 for each in blocking)

    def _is_doubted(self, call: ProviderCall) -> bool:
        standing = self._board.blocking(call.provider, ours=True, source=call.source)
        return any(behind(each.hold) is Symptom.AMBIGUOUS for each in standing)

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
        known = self._known[provider]
        for hold in probed:
            self._end_probe(hold, seen)
        if seen.symptom is Symptom.WELL:
            self._serve_all(provider, ours=seen.ours)
        if seen.ours:
            known.trial.learn(seen.symptom)
        trip = known.breaker.observe(seen)
        if seen.symptom is Symptom.PAUSE and (seen.ours or trip):
            self._pause(provider, trip.source if trip else "", _asked(outcome, self._terms.longest_pause))
        elif trip:
            self._trip(provider, trip, outcome)

    def _serve_all(self, provider: str, *, ours: bool) -> None:
        """A success ends what stands for one source alone: the provider is where we ask, and takes our word."""
        for standing in self._board.of(provider):
            hold = standing.hold
            if hold.source and hold.is_probed and hold.covers(ours=ours, source=hold.source):
                self._shared.end(hold)
                self._known[provider].forget_paces()

    def _pause(self, provider: str, source: str, wait: float) -> None:
        standing = self._board.get((provider, Scope.ALL, Opener.PROVIDER, source))
        if standing is None and wait:
            self._open((provider, Scope.ALL, Opener.PROVIDER, source), Reason.HTTP_429, wait)
        elif standing and wait > self._board.seconds_left(standing):
            self._shared.alter(standing.hold, wait)

    def _end_probe(self, hold: Hold, seen: Sighting) -> None:
        cause, found = behind(hold), seen.symptom
        self._failed.pop(hold.key, None)
        if found in HEALED_BY[cause]:
            self._shared.end(hold)
            return
        if not hold.source:
            self._failed[hold.key] = seen.source
        strikes = hold.strikes + 1 if found is cause else hold.strikes
        self._shared.alter(replace(hold, strikes=strikes), self._wait(strikes if found is cause else 1))

    def _trip(self, provider: str, trip: Trip, outcome: Outcome) -> None:
        covering = ((scope, source) for scope in {trip.scope, Scope.ALL} for source in {trip.source, ""})
        if any(self._board.get((provider, scope, Opener.BREAKER, source)) for scope, source in covering):
            return
        wait = max(self._wait(1), _asked(outcome, self._terms.longest_pause))
        self._open((provider, trip.scope, Opener.BREAKER, trip.source), _reason(outcome), wait, strikes=1)
        self._known[provider].trial.tell()

    def _open(self, key: Key, reason: str, wait: float, strikes: int = 0) -> None:
        provider, scope, opener, source = key
        now = utc_now()
        until = now + timedelta(seconds=wait)
        self._shared.open(Hold(provider, scope, opener, _me(), reason, now, until, strikes, source=source), wait)
        self.on_opened()

    def _wait(self, strikes: int) -> float:
        """Seconds until a probe: doubled with each strike, with up to a quarter on top, capped."""
        terms = self._terms
        return min(terms.cap, terms.first * 2.0 ** min(strikes - 1, 16) * (1 + 0.25 * self._chance()))

    async def _verdict(self, provider: str, seen: Sighting, outcome: Outcome, proof: float, is_probe: bool) -> Verdict:  # noqa: FBT001 - said by its one caller
        """What the call came to; where its failure is the provider's or our credential's, it waits and burns nothing.

        A failure that may be about this call alone burns its attempt: it is tried again, and some day given up.
        """
        known = self._known[provider]
        if seen.symptom is Symptom.REFUSED:
            await known.trial.verdict(lambda: bool(self._behind(provider, seen)), DOUBT)
        blamed = self._behind(provider, seen)
        if blamed and (seen.symptom is Symptom.REFUSED or is_probe is (seen.symptom is Symptom.OUTAGE)):
            return self._held(blamed, tried=True)
        if not isinstance(outcome, CredentialFault):
            return outcome
        judge = known.acceptance.judged
        judged = judge(seen.call_id, outcome, proof, time.monotonic()) if outcome.is_ambiguous else None
        return judged or Transient(outcome.reason, detail=outcome.detail)

    def _behind(self, provider: str, seen: Sighting) -> list[Standing]:
        """The breaker's holds that stand for what was seen; none for what is ambiguous, which blames nobody yet."""
        if seen.symptom is Symptom.AMBIGUOUS:
            return []
        blocking = self._board.blocking(provider, ours=seen.ours, source=seen.source)
        return [each for each in blocking if each.hold.is_probed and behind(each.hold) is seen.symptom]

    def _on_ended(self, provider: str) -> None:
        self._known[provider].breaker.reset()
        self._known[provider].forget_paces()
        self._known[provider].trial.tell()


def _goes_in_doubt(call: ProviderCall, standing: Sequence[Standing]) -> bool:
    """Whether a try costs *call* nothing: it was never tried, and it may well be that only others are refused."""
    return not call.attempts and all(behind(each.hold) is Symptom.AMBIGUOUS for each in standing)


def _asked(outcome: Outcome, longest: float) -> float:
    """Seconds the provider asked us to wait, within reason."""
    return min(outcome.retry_after or 0.0, longest) if isinstance(outcome, Transient) else 0.0


def _reason(outcome: Outcome) -> str:
    return Reason.HTTP_5XX if isinstance(outcome, Settled) else outcome.reason


def _subject(call: ProviderCall) -> str:
    return call.user_id or " ".join(call.subject_keys) or call.call_id


def _me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
