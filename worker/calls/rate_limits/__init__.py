"""Rate limits: how many calls a minute a provider takes from one of our credentials, all workers together.

`window` is the arithmetic, `limiter` what one worker process does with it, `registry` knows whose limit is whose.
"""

from worker.calls.rate_limits.limiter import Limiter as Limiter
from worker.calls.rate_limits.registry import RateLimits as RateLimits
from worker.calls.rate_limits.registry import per_minute as per_minute
from worker.calls.rate_limits.window import Limit as Limit
