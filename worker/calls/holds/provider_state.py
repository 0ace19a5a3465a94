"""What one worker process has learnt of one provider instance, and of our credential there."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final, NamedTuple

from tasks.doubt import DIED
from tasks.outcome import CredentialFault, Settled, State
from worker.calls.holds.breaker import PERMITTED_CALLS, SUCCESS_COUNTS_FOR, Breaker, CallSignal

ACCEPTED_BETWEEN: Final = "key_accepted_between_refusals"  # why a refused call is settled
REFUSALS: Final = 3  # of one call: by the last, other calls have shown whether the provider is fickle
MAX_DOUBTED: Final = 10  # calls of a source at once, while they are doubted
FAST_CALLS: Final = 100  # doubted calls that go as soon as there is room
FAST_INTERVAL, SLOW_INTERVAL = 0.1, 1.0  # seconds between two of them: the first FAST_CALLS, and the later ones
_MAX_REFUSED: Final = 20_000  # calls
_MAX_SOURCES: Final = 1000  # whose pace is remembered


class HalfOpen:
    """Until our credential is known to work, PERMITTED_CALLS calls find out and the others wait for them."""

    def __init__(self) -> None:
        self.is_proven = False
        self._under_way = 0
        self._changed = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """Whether one more call may be made."""
        return self.is_proven or self._under_way < PERMITTED_CALLS

    @contextmanager
    def calling(self) -> Iterator[None]:
        """While a call is made with the credential."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if not self.is_proven:
                self.notify()

    def learn(self, signal: CallSignal) -> None:
        """Learn from the *signal* of a call with the credential."""
        was_proven = self.is_proven
        self.is_proven = signal is CallSignal.SUCCESS or (was_proven and signal is not CallSignal.REFUSED)
        if self.is_proven and not was_proven:
            self.notify()

    def notify(self) -> None:
        """Have the calls that wait check their condition."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool], seconds: float | None = None) -> None:
        """Wait until *condition* holds, at most *seconds*."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    await self._changed.wait()


class _Refusals(NamedTuple):
    first: float
    times: int


class Acceptance:
    """When the provider accepted our credential, and which calls it refused before. Times are monotonic, in seconds.

    A refusal that may mean our credential or what the call names is decided by order alone: where
    the credential was accepted for another call between the refusals of one call, it is that call's own reference that
    is dead. What a credential was good for before it was revoked decides nothing of calls that came afterwards.

    Where a call is accepted that was refused before, the provider itself is fickle (one of its servers has not heard of
    the key yet): then refusals decide nothing for a while.
    """

    def __init__(self) -> None:
        self.last = -SUCCESS_COUNTS_FOR  # when the latest request was sent of those that are known to be accepted
        self._fickle_until = -math.inf
        self._refused: OrderedDict[str, _Refusals] = OrderedDict()

    def accepted(self, call_id: str, outcome: object, sent: float) -> None:
        """Learn from the *outcome* of a call that was *sent* then."""
        if not (isinstance(outcome, Settled) and outcome.state in {State.ACCEPTED, State.CONFIRMED}):
            return
        self.last = max(self.last, sent)
        if self._refused.pop(call_id, None):
            self._fickle_until = sent + SUCCESS_COUNTS_FOR

    def judged(self, call_id: str, refusal: CredentialFault, proof: float, now: float) -> Settled | None:
        """Return the outcome of a call that is refused again, where it is known that the credential is not meant.

        *proof* is `last` as it was when this call was sent.
        """
        before = self._refused.get(call_id, _Refusals(now, 0))
        self._refused[call_id] = known = _Refusals(before.first, before.times + 1)
        if len(self._refused) > _MAX_REFUSED:
            self._refused.popitem(last=False)
        is_proved = known.first < proof and now - proof < SUCCESS_COUNTS_FOR
        if not is_proved or known.times < REFUSALS or now < self._fickle_until:
            return None
        del self._refused[call_id]
        detail = {**refusal.detail, DIED: ACCEPTED_BETWEEN}
        return Settled(State.ALREADY_REVOKED, "401 three times, key accepted between", detail)


class DoubtedPace:
    """How the calls of one source go, from the first doubt until our credential is accepted. *clock* is monotonic.

    Each call that was never tried may go once, so a living reference waits for no dead one of another source, and for
    few of its own: MAX_DOUBTED of them, and after FAST_CALLS one a second, so that a bad key is not hammered.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._under_way = self._gone = 0
        self._next = self._promised = clock()

    def wait(self) -> int:
        """Return 0 where a call may go now; else the whole seconds after which it may come again."""
        now = self._clock()
        if self._under_way < MAX_DOUBTED and now >= self._next:
            return 0
        self._promised = max(now, self._promised) + (FAST_INTERVAL if self._gone < FAST_CALLS else SLOW_INTERVAL)
        return math.ceil(max(1.0, self._promised - now))

    @contextmanager
    def calling(self) -> Iterator[None]:
        """While a call is made."""
        self._under_way += 1
        self._gone += 1
        self._next = self._clock() + (0.0 if self._gone < FAST_CALLS else SLOW_INTERVAL)
        try:
            yield
        finally:
            self._under_way -= 1


class ProviderState:
    """To be used on one event loop."""

    def __init__(self) -> None:
        self.breaker, self.half_open, self.acceptance = Breaker(), HalfOpen(), Acceptance()
        self.credentials = 0  # how often ours was replaced
        self._paces: OrderedDict[str, DoubtedPace] = OrderedDict()  # source → how its calls go while they are doubted

    def renew(self) -> None:
        """Another credential is in force: what the one before was good for proves nothing of it."""
        self.credentials += 1
        self.breaker.renew()
        self.acceptance = Acceptance()
        self._paces.clear()

    def calling(self, source: str, *, is_doubted: bool) -> AbstractContextManager[None]:
        """While a call of *source* is made with our credential; doubted ones take no room of the others."""
        return self.pace(source).calling() if is_doubted else self.half_open.calling()

    def pace(self, source: str) -> DoubtedPace:
        """How the doubted calls of *source* go."""
        found = self._paces.setdefault(source, DoubtedPace(time.monotonic))
        if len(self._paces) > _MAX_SOURCES:
            self._paces.popitem(last=False)
        return found

    def forget_paces(self) -> None:
        """Nobody's calls are in doubt any more."""
        self._paces.clear()
