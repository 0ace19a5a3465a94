"""When to try again: one pure function, its curve in its docstring."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a call keeps trying.

    *budgets* are seconds from the event's `time`, kept in the call as its deadline; *max_attempts* is the second end.
    """

    base: float = 1.0  # seconds: the ceiling of the first delay
    cap: float = 300.0  # seconds: the ceiling of every delay
    retry_after_cap: float = 900.0  # seconds: a provider asking for more is asked again after this
    max_attempts: int = 20
    chance: Callable[[], float] = random.random

    def next_delay(self, attempt: int, remaining: float, retry_after: float | None = None) -> int | None:
        """Whole seconds to wait after failed attempt number *attempt* (from 1), or None to give up.

        Exponential with full jitter: between 1 and at most 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300 … seconds.
        *retry_after* (seconds, as the provider asked, capped at `retry_after_cap`) is a floor, with up to a tenth on
        top so that many calls do not come back at once. *remaining* is what is left of the time budget in
        seconds: a delay that would outlive it, or a spent attempt count, gives None.
        Whole seconds and at least 1, because the broker's delay queues count in seconds.
        """
        if attempt >= self.max_attempts:
            return None
        ceiling = min(self.cap, self.base * 2 ** min(attempt - 1, 32))
        floor = min(retry_after, self.retry_after_cap) * (1 + 0.1 * self.chance()) if retry_after else 0.0
        delay = math.ceil(max(1.0, self.chance() * ceiling, floor))
        return delay if delay <= remaining else None
