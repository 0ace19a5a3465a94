"""What stands between a task and a provider call: lets the call go or wait, and learns from its outcome."""

import asyncio
import math
import os
import random
import socket
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final

from tasks.call import ProviderCall
from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, Transient
from tasks.runtime import Held
from worker.calls.holds.breaker import CLOSED_BY, OF_OUR_CREDENTIAL, CallSignal, Observation, Trip, cause_of, signal_of
from worker.calls.holds.hold import Hold, HoldLimits, Key, OpenedBy, Scope
from worker.calls.holds.provider_state import ProviderState
from worker.calls.holds.registry import ActiveHold, HoldRegistry
from worker.calls.holds.sync import HoldSync, utc_now
from worker.database.thread import DatabaseThread

Verdict = Settled | Transient | Permanent | Held

VERDICT_TIMEOUT: Final = 3.0  # seconds a refused call waits to learn whether the others are refused as well
YIELD_DELAY: Final = 0.5  # seconds a source whose call was a failed probe leaves to those of others
REQUEUE_DELAY: Final = 2  # seconds after which a call in hand is back in its queue, where it waits as long as it takes
HELD_BY_OPERATOR: Final = "hold.operator"


class CircuitBreakers:
    """Of all providers of this process. To be used on one event loop, but for `is_paused`, `may_probe` and `state`."""

    def __init__(self, limits: HoldLimits, thread: DatabaseThread, chance: Callable[[], float] = random.random) -> None:
        self._limits, self._chance = limits, chance
        self._registry = HoldRegistry(limits.worker_only, limits.longest, time.monotonic, utc_now)
        self._sync = HoldSync(self._registry, thread, self._on_ended)
        self._states: defaultdict[str, ProviderState] = defaultdict(ProviderState)
        self._failed: dict[Key, str] = {}  # hold → the source whose call was its last probe, which failed
        self.is_paused, self.may_probe = self._registry.is_paused, self._registry.may_probe
        self.state = self._registry.state
        self.start, self.stop = self._sync.start, self._sync.stop
        self.on_opened: Callable[[], object] = lambda: None  # called on the event loop, whenever a hold is opened here

    async def attempt(
        self, call: ProviderCall, make: Callable[[], Awaitable[Outcome]], *, own_credential: bool
    ) -> Verdict:
        """Return what *make* makes of *call*, or why it has to wait; *own_credential*: it uses the worker's own."""
        admitted = await self._admit(call, own_credential=own_credential)
        if isinstance(admitted, Held):
            return admitted
        state, sent = self._states[call.provider], time.monotonic()
        credential, proof = state.credentials, state.acceptance.last
        with state.calling(call.source, is_doubted=self._is_doubted(call)) if own_credential else nullcontext():
            outcome = await make()
        if isinstance(outcome, CredentialFault) and not own_credential:  # a contradiction: an operator must look
            return Permanent(outcome.reason, outcome.detail)
        if isinstance(outcome, CredentialFault) and credential != state.credentials:  # of the one in force before
            return Transient(outcome.reason, detail=outcome.detail)
        if credential == state.credentials:
            state.acceptance.accepted(call.call_id, outcome, sent)
        subject = call.user_id or " ".join(call.subject_keys) or call.call_id
        seen = Observation(signal_of(outcome), call.call_id, subject, own_credential, call.source)
        self._learn(call.provider, seen, outcome, admitted)
        return await self._verdict(call.provider, seen, outcome, proof, is_probe=bool(admitted))

    def credential_changed(self, provider: str) -> None:
        """Have what the worker's own credential was refused for probed at once: another one is in force."""
        self._states[provider].renew()
        for active in self._registry.of(provider):
            if active.hold.is_probed and cause_of(active.hold) in OF_OUR_CREDENTIAL:
                self._sync.alter(active.hold, 0.0)

    def waits(self, call: ProviderCall, *, own_credential: bool) -> Held | None:
        """Return why *call* has to wait, where that is known before it has waited for anything else."""
        blocking = self._registry.blocking(call.provider, own_credential=own_credential, source=call.source)
        if not blocking or self._registry.are_due(blocking) or _goes_doubted(call, blocking):
            return None
        return self._held(blocking)

    async def _admit(self, call: ProviderCall, *, own_credential: bool) -> Sequence[Hold] | Held:
        """Return the holds that this call is to probe, most often none; or why it has to wait."""
        find = partial(self._registry.blocking, call.provider, own_credential=own_credential, source=call.source)
        if own_credential and not (half_open := self._states[call.provider].half_open).has_room:
            await half_open.until(lambda: half_open.has_room or bool(find()))
        if not (blocking := find()):
            return ()
        if _goes_doubted(call, blocking):
            wait = self._states[call.provider].pace(call.source).wait()
            return Held(blocking[0].hold.reason, wait) if wait else ()
        has_failed = any(self._failed.get(each.hold.key) == call.source for each in blocking)
        if has_failed and self._registry.are_due(blocking):
            await asyncio.sleep(YIELD_DELAY)  # to a call of another source, whose outcome decides more
            blocking = find()
        return await self._claim(blocking) if blocking else ()

    async def _claim(self, blocking: Sequence[ActiveHold]) -> Sequence[Hold] | Held:
        if not self._registry.are_due(blocking):
            return self._held(blocking)
        lease = self._limits.leases[blocking[0].hold.provider]
        claimed = [await self._sync.claim(each.hold, lease) for each in blocking]
        granted = [hold for hold in claimed if hold is not None]
        return granted if len(granted) == len(blocking) else self._held(blocking)

    def _is_doubted(self, call: ProviderCall) -> bool:
        blocking = self._registry.blocking(call.provider, own_credential=True, source=call.source)
        return any(cause_of(each.hold) is CallSignal.AMBIGUOUS for each in blocking)

    def _held(self, blocking: Sequence[ActiveHold], *, tried: bool = False) -> Held:
        """Where the whole queue waits the call goes back to it at once; else it comes again when the hold may be over.

        Up to a quarter later: a held crowd must not come back as one.
        """
        first = blocking[0].hold
        reason = HELD_BY_OPERATOR if first.opened_by is OpenedBy.OPERATOR else first.reason
        if self._registry.is_paused(first.provider):
            return Held(reason, REQUEUE_DELAY, tried=tried)
        left = min(max(map(self._registry.seconds_left, blocking)), self._limits.cap)
        return Held(reason, max(1, math.ceil(left * (1 + 0.25 * self._chance()))), tried=tried)

    def _learn(self, provider: str, seen: Observation, outcome: Outcome, probed: Sequence[Hold]) -> None:
        state = self._states[provider]
        for hold in probed:
            self._end_probe(hold, seen)
        if seen.signal is CallSignal.SUCCESS:
            self._end_holds_of_sources(provider, own_credential=seen.own_credential)
        if seen.own_credential:
            state.half_open.learn(seen.signal)
        trip = state.breaker.observe(seen)
        if seen.signal is CallSignal.PAUSE and (seen.own_credential or trip):
            self._pause((provider, Scope.ALL, OpenedBy.PROVIDER, trip.source if trip else ""), self._asked(outcome))
        elif trip:
            self._trip(provider, trip, outcome)

    def _end_holds_of_sources(self, provider: str, *, own_credential: bool) -> None:
        """A success ends what stands for one source alone: the provider is where we ask, and accepts our credential."""
        for hold in (each.hold for each in self._registry.of(provider)):
            if hold.source and hold.is_probed and hold.blocks(own_credential=own_credential, source=hold.source):
                self._sync.end(hold)
                self._states[provider].forget_paces()

    def _pause(self, key: Key, wait: float) -> None:
        active = self._registry.get(key)
        if active is None and wait:
            self._open(key, Reason.HTTP_429, wait)
        elif active and wait > self._registry.seconds_left(active):
            self._sync.alter(active.hold, wait)

    def _end_probe(self, hold: Hold, seen: Observation) -> None:
        cause, found = cause_of(hold), seen.signal
        self._failed.pop(hold.key, None)
        if found in CLOSED_BY[cause]:
            self._sync.end(hold)
            return
        if not hold.source:
            self._failed[hold.key] = seen.source
        failed = hold.failed_probes + 1 if found is cause else hold.failed_probes
        self._sync.alter(replace(hold, failed_probes=failed), self._wait(failed if found is cause else 1))

    def _trip(self, provider: str, trip: Trip, outcome: Outcome) -> None:
        covering = ((scope, source) for scope in {trip.scope, Scope.ALL} for source in {trip.source, ""})
        if any(self._registry.get((provider, scope, OpenedBy.BREAKER, source)) for scope, source in covering):
            return
        wait = max(self._wait(1), self._asked(outcome))
        reason = Reason.HTTP_5XX if isinstance(outcome, Settled) else outcome.reason
        self._open((provider, trip.scope, OpenedBy.BREAKER, trip.source), reason, wait, failed_probes=1)
        self._states[provider].half_open.notify()

    def _open(self, key: Key, reason: str, wait: float, failed_probes: int = 0) -> None:
        provider, scope, opener, source = key
        now, owner = utc_now(), f"{socket.gethostname()}:{os.getpid()}"
        until = now + timedelta(seconds=wait)
        self._sync.open(Hold(provider, scope, opener, owner, reason, now, until, failed_probes, source=source), wait)
        self.on_opened()

    def _wait(self, failed_probes: int) -> float:
        """Seconds until a probe: doubled with each that failed, with up to a quarter on top, capped."""
        doubled = self._limits.first * 2.0 ** min(failed_probes - 1, 16)
        return min(self._limits.cap, doubled * (1 + 0.25 * self._chance()))

    def _asked(self, outcome: Outcome) -> float:
        """Seconds the provider asked us to wait, within reason."""
        asked = outcome.retry_after if isinstance(outcome, Transient) else None
        return min(asked or 0.0, self._limits.longest_pause)

    async def _verdict(
        self, provider: str, seen: Observation, outcome: Outcome, proof: float, *, is_probe: bool
    ) -> Verdict:
        """What the call came to; where its failure is the provider's or our credential's, it waits and burns nothing.

        A failure that may be about this call alone burns its attempt: it is tried again, and some day given up.
        """
        state, is_refused = self._states[provider], seen.signal is CallSignal.REFUSED
        if is_refused:
            half_open = state.half_open
            await half_open.until(lambda: half_open.is_proven or bool(self._blamed(provider, seen)), VERDICT_TIMEOUT)
        blamed = self._blamed(provider, seen)
        if blamed and (is_refused or is_probe is (seen.signal is CallSignal.OUTAGE)):
            return self._held(blamed, tried=True)
        if not isinstance(outcome, CredentialFault):
            return outcome
        judge = state.acceptance.judged
        judged = judge(seen.call_id, outcome, proof, time.monotonic()) if outcome.is_ambiguous else None
        return judged or Transient(outcome.reason, detail=outcome.detail)

    def _blamed(self, provider: str, seen: Observation) -> list[ActiveHold]:
        """The breaker's holds for what was seen; none for what is ambiguous, which blames nobody yet."""
        if seen.signal is CallSignal.AMBIGUOUS:
            return []
        blocking = self._registry.blocking(provider, own_credential=seen.own_credential, source=seen.source)
        return [each for each in blocking if each.hold.is_probed and cause_of(each.hold) is seen.signal]

    def _on_ended(self, provider: str) -> None:
        state = self._states[provider]
        state.breaker.reset()
        state.forget_paces()
        state.half_open.notify()


def _goes_doubted(call: ProviderCall, blocking: Sequence[ActiveHold]) -> bool:
    """Whether a try costs *call* nothing: it was never tried, and it may well be that only others are refused."""
    return not call.attempts and all(cause_of(each.hold) is CallSignal.AMBIGUOUS for each in blocking)
