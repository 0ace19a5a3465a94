"""Of several calls that end every session of one user, one is made, and a success stands for all that it came after.

A call is done where another call for the same user succeeds that was sent later: later than this worker first saw the
call, or so much later than its event happened, and we planned it, that no two clocks differ by as much. One that was
sent before never counts, since the user may have signed in again between. So while one call is under way, or was sent a
moment ago, the others go back to their queue, and most of them are done when they return. Each worker goes by what it
saw itself.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from tasks.call import ProviderCall
from tasks.outcome import Outcome, Settled, State
from tasks.runtime import Held

HELD_FOR_USER: Final = "turn.target"  # why a call waits: another one for the same user is under way, or was just now
COVERED_BY: Final = "covered_by"  # the detail that names the call whose success it was
MAX_DELAY: Final = 4  # seconds between two calls for one user, however many there are
FORGET_AFTER: Final = 60.0  # seconds; the next call for that user goes at once again
MAX_CLOCK_SKEW: Final = timedelta(minutes=5)  # the producers', the intake's and this worker's, at most
_MAX_USERS: Final = 10_000
_MAX_PUT_BACK: Final = 20_000  # calls

_SUCCEEDED: Final = frozenset({State.ACCEPTED, State.CONFIRMED})
_User = tuple[str, str]
_PutBack = tuple[str, int]  # a call, and which replay of it


class Sent(NamedTuple):
    """When a request began, by the clock of the world and by a *monotonic* one, in seconds."""

    at: datetime
    monotonic: float


@dataclass(slots=True)
class _Asked:
    """What was asked of a provider about one user; *began* is monotonic, in seconds."""

    began: float = -FORGET_AFTER  # when the latest call began
    count: int = 0  # of calls, since a minute passed without one
    is_under_way: bool = False
    sent: Sent | None = None  # when the latest call that succeeded was sent
    by: str = ""  # that call


class Coverage:
    """Of one worker process. To be used on one event loop; *clock* is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._asked: OrderedDict[_User, _Asked] = OrderedDict()
        self._seen: OrderedDict[_PutBack, float] = OrderedDict()  # a call that was put back → when it was seen at first

    def known_of(self, call: ProviderCall) -> Settled | Held | None:
        """What is known of *call* without making it: it is covered, or another one goes first; else None."""
        asked = self._asked.get(user) if (user := _user(call)) else None
        if asked is None:
            return None
        if self._covers(asked, call):
            return Settled(State.COVERED, "success of a call sent later", {COVERED_BY: asked.by})
        if not (wait := self._wait(asked)):
            return None
        self._seen.setdefault(_key(call), self._clock())
        if len(self._seen) > _MAX_PUT_BACK:
            self._seen.popitem(last=False)
        return Held(HELD_FOR_USER, wait)

    @contextmanager
    def asking(self, call: ProviderCall) -> Iterator[None]:
        """While *call* waits for its permit and is made."""
        if (user := _user(call)) is None:
            yield
            return
        asked = self._begin(user)
        try:
            yield
        finally:
            asked.is_under_way = False

    def sending(self, at: datetime) -> Sent:
        """A request that begins now, which is *at* by the clock of the world."""
        return Sent(at, self._clock())

    def learn(self, call: ProviderCall, outcome: Outcome, sent: Sent) -> None:
        """Remember a success of *call*, which was *sent* then or later."""
        is_success = isinstance(outcome, Settled) and outcome.state in _SUCCEEDED
        if is_success and (user := _user(call)) and (asked := self._asked.get(user)):
            asked.sent, asked.by = sent, call.call_id

    def _begin(self, user: _User) -> _Asked:
        now = self._clock()
        asked = self._asked.setdefault(user, _Asked())
        self._asked.move_to_end(user)
        asked.count = asked.count + 1 if now - asked.began < FORGET_AFTER else 1
        asked.began, asked.is_under_way = now, True
        if len(self._asked) > _MAX_USERS:
            self._asked.popitem(last=False)
        return asked

    def _covers(self, asked: _Asked, call: ProviderCall) -> bool:
        """Whether the last success was sent after *call* was planned. The event's time may lie ahead: it counts too."""
        if asked.sent is None or call.planned_at is None or asked.by == call.call_id:
            return False
        known_at = max(call.planned_at, call.occurred_at)
        if asked.sent.monotonic > self._seen.get(_key(call), math.inf):
            return asked.sent.at > call.occurred_at
        return asked.sent.at - MAX_CLOCK_SKEW > known_at

    def _wait(self, asked: _Asked) -> int:
        """Whole seconds; the longer a call is under way, the more seldom the others look."""
        since = self._clock() - asked.began
        if asked.is_under_way:
            return min(MAX_DELAY, 1 + int(since))
        return max(0, math.ceil(min(MAX_DELAY, asked.count) - since))


def _key(call: ProviderCall) -> _PutBack:
    return call.call_id, call.replays


def _user(call: ProviderCall) -> _User | None:
    """The user whose every session *call* ends; None for a call that ends one session."""
    match call.target:
        case (provider, "user", user_id):
            return provider, user_id
        case _:
            return None
