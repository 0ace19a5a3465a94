"""When to try again: the settings of the curve, and one pure function with the curve in its docstring."""

import math
import random
from collections.abc import Callable

from pydantic import Field

from tasks.strict_model import StrictModel


class RetryPolicy(StrictModel):
    """How long a call keeps trying: until its deadline, or its last attempt."""

    base: float = Field(1.0, ge=0.1, le=60, description="Seconds: ceiling of the first delay; it doubles from there")
    cap: float = Field(300.0, ge=1, le=3600, description="Seconds: ceiling of every delay")
    retry_after_cap: float = Field(900.0, ge=1, le=86400, description="Seconds: longest Retry-After honoured")
    max_attempts: int = Field(20, ge=1, le=1000, description="Attempts before a call is dead")

    def next_delay(
        self,
        attempt: int,
        remaining: float,
        retry_after: float | None = None,
        chance: Callable[[], float] = random.random,
    ) -> int | None:
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
        floor = min(retry_after, self.retry_after_cap) * (1 + 0.1 * chance()) if retry_after else 0.0
        delay = math.ceil(max(1.0, chance() * ceiling, floor))
        return delay if delay <= remaining else None
