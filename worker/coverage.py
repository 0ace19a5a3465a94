"""Of several calls that end every session of one user, one is made, and a success stands for all that it came after.

What was told of a user is done where a call for the same user succeeds that was sent later: later than the event
happened by the producer's clock, and later than we planned its call by ours. One that was sent before never counts,
since the user may have signed in again between. So while one call is under way, or was sent a moment ago, the others
go back to their queue, and most of them find it done when they return. Each worker goes by what it saw itself.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tasks.base import Held
from tasks.call import ProviderCall
from tasks.outcome import Outcome, Settled, State

REASON: Final = "turn.target"  # why a call waits: another one for the same user is under way, or was just now
COVERED_BY: Final = "covered_by"  # the detail that names the call whose success it was
LONGEST_PAUSE: Final = 4  # seconds between two calls for one user, however many are told of
FORGOTTEN: Final = 60.0  # seconds after which the next call for a user goes at once again
_REMEMBERED: Final = 10_000  # users

_SUCCEEDED: Final = frozenset({State.ACCEPTED, State.CONFIRMED})
_User = tuple[str, str]


@dataclass(slots=True)
class _Asked:
    """What was asked of a provider about one user; *began* is monotonic, in seconds."""

    began: float = -FORGOTTEN  # when the latest call got its turn
    count: int = 0  # of calls, since a minute passed without one
    is_under_way: bool = False
    sent: datetime | None = None  # when the latest call that succeeded was sent
    by: str = ""  # that call


class Coverage:
    """Of one worker process. To be used on one event loop; *clock* is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._asked: OrderedDict[_User, _Asked] = OrderedDict()

    def known_of(self, call: ProviderCall) -> Settled | Held | None:
        """What is known of *call* without making it: it is covered, or another one goes first; else None."""
        asked = self._asked.get(user) if (user := _user(call)) else None
        if asked is None:
            return None
        if _covers(asked, call):
            return Settled(State.COVERED, "success of a call sent later", {COVERED_BY: asked.by})
        wait = self._wait(asked)
        return Held(REASON, wait) if wait else None

    @contextmanager
    def asking(self, call: ProviderCall) -> Iterator[None]:
        """While *call* waits for its turn and is made."""
        if (user := _user(call)) is None:
            yield
            return
        asked = self._begin(user)
        try:
            yield
        finally:
            asked.is_under_way = False

    def learn(self, call: ProviderCall, outcome: Outcome, sent: datetime) -> None:
        """Remember a success of *call*, which was *sent* then or later."""
        is_success = isinstance(outcome, Settled) and outcome.state in _SUCCEEDED
        if is_success and (user := _user(call)) and (asked := self._asked.get(user)):
            asked.sent, asked.by = sent, call.call_id

    def _begin(self, user: _User) -> _Asked:
        now = self._clock()
        asked = self._asked.setdefault(user, _Asked())
        self._asked.move_to_end(user)
        asked.count = asked.count + 1 if now - asked.began < FORGOTTEN else 1
        asked.began, asked.is_under_way = now, True
        if len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)
        return asked

    def _wait(self, asked: _Asked) -> int:
        """Whole seconds; the longer a call is under way, the more seldom the others look."""
        since = self._clock() - asked.began
        if asked.is_under_way:
            return min(LONGEST_PAUSE, 1 + int(since))
        return max(0, math.ceil(min(LONGEST_PAUSE, asked.count) - since))


def _covers(asked: _Asked, call: ProviderCall) -> bool:
    if asked.sent is None or call.planned_at is None or asked.by == call.call_id:
        return False
    return asked.sent > max(call.planned_at, call.occurred_at)


def _user(call: ProviderCall) -> _User | None:
    """The user whose every session *call* ends; None for a call that ends one session."""
    match call.target:
        case (provider, "user", user_id):
            return provider, user_id
        case _:
            return None
