"""Rate limits: how many calls a minute a provider takes from one of our credentials, all workers together.

`window` is the arithmetic, `limiter` what one worker process does with it, `registry` knows whose limit is whose.
"""

from worker.calls.rate_limits.limiter import Limiter
from worker.calls.rate_limits.registry import RateLimits, per_minute
from worker.calls.rate_limits.window import Limit

__all__ = ["Limit", "Limiter", "RateLimits", "per_minute"]
