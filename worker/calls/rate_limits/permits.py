"""The permits that a worker holds, and the calls that it made with them and has to report."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from worker.calls.rate_limits.window import Ask, Grant, Limit

LOOK_AHEAD: Final = 1.0  # seconds: as many permits are asked for in advance as were used in such a time


@dataclass(frozen=True, eq=False)
class Permit:
    """A call may be made at once; *taken_at* is a time of the event loop."""

    taken_at: float
    is_spare: bool = False


class PermitPool:
    """Permits for any call, and spare ones for urgent calls alone.

    Each look books all of them anew, so all are good until the same moment.
    *spare*: how many spare ones all workers together lease ahead; a worker leases as many more as it used lately.
    """

    def __init__(self, limit: Limit, spare: int, clock: Callable[[], float]) -> None:
        self._limit, self._most_spare, self._clock = limit, spare, clock
        self._free = self._spare = self._spare_wanted = 0
        self._good_until = -math.inf
        self._made: list[Permit] = []  # calls since the last report
        self._reported: list[Permit] = []  # calls of which no look has confirmed the report
        self._asked_at = clock()
        self._is_refused = False

    @property
    def is_spare_low(self) -> bool:
        """Whether it is time to look for more of the spare ones."""
        return 2 * self._spare < self._spare_wanted and not self._is_refused

    def take(self, *, spare: bool = False) -> Permit | None:
        """Return one of them; None where there is none."""
        self._drop_expired()
        if not (self._spare if spare else self._free):
            return None
        if spare:
            self._spare -= 1
        else:
            self._free -= 1
        return self.note_call(is_spare=spare)

    def note_call(self, *, is_spare: bool = False) -> Permit:
        """Note that a call is made now."""
        self._made.append(Permit(self._clock(), is_spare))
        return self._made[-1]

    def release(self, permit: Permit) -> None:
        """Take back a permit that no call used. A call that was reported as made stays so, and its permit is gone."""
        if permit in self._made:
            self._made.remove(permit)
            self._free += not permit.is_spare
            self._spare += permit.is_spare

    def ask(self, worker: str, urgent: int, routine: int, workers: int) -> Ask:
        """Return what *urgent* and *routine* calls that wait need, and what was used lately; and the report."""
        self._drop_expired()
        now, used_spare = self._clock(), sum(each.is_spare for each in self._made)
        recent = math.ceil((len(self._made) - used_spare) * LOOK_AHEAD / max(LOOK_AHEAD, now - self._asked_at))
        self._asked_at = now
        self._spare_wanted = min(self._limit.calls // 3, math.ceil(self._most_spare / workers) + used_spare)
        self._free, self._spare = min(self._free, recent), min(self._spare, self._spare_wanted)
        routine += recent - self._free
        made, self._is_refused = self._report(now), True  # until it is known what is granted
        return Ask(worker, urgent, routine, self._spare_wanted - self._spare, self._free, self._spare, made)

    def leave(self, worker: str) -> Ask:
        """Return the last report: nothing is held any more."""
        self._free = self._spare = 0
        return Ask(worker, made=self._report(self._clock()), leaves=True)

    def add(self, ask: Ask, grant: Grant, began: float) -> bool:
        """Take over what *ask*, made when the look *began*, was granted; return False where the answer comes too late.

        The grant is not used then, and goes back with the next report.
        """
        self._drop_expired()
        self._reported, self._is_refused = [], grant.spare < ask.spare
        if self._clock() >= began + self._limit.look_timeout:
            return False
        self._good_until = began + self._limit.permit_ttl
        self._free += grant.permits
        self._spare += grant.spare
        return True

    def _report(self, now: float) -> tuple[float, ...]:
        oldest = now - self._limit.remembered
        self._reported = [each for each in (*self._reported, *self._made) if each.taken_at > oldest]
        self._made = []
        return tuple(now - each.taken_at for each in self._reported)

    def _drop_expired(self) -> None:
        if self._clock() >= self._good_until:
            self._free = self._spare = 0
