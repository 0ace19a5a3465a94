"""The worker's own Genesys tokens: issued by login, counted for the rate limit, and mortal."""

from __future__ import annotations

import math
import secrets
import time
from dataclasses import dataclass, field
from typing import Final

from worker.sandbox.store import digest

WINDOW: Final = 60.0  # seconds


@dataclass(slots=True)
class Meter:
    """How often a token was used in the current minute."""

    allowed: int
    count: int = 0
    ends: float = field(default_factory=lambda: time.monotonic() + WINDOW)

    def tick(self) -> None:
        """Count one call, in a new window where the old one is over."""
        if time.monotonic() >= self.ends:
            self.count, self.ends = 0, time.monotonic() + WINDOW
        self.count += 1

    @property
    def is_over(self) -> bool:
        """Whether the limit is spent."""
        return self.count > self.allowed

    @property
    def reset(self) -> int:
        """Whole seconds until the window ends."""
        return max(1, math.ceil(self.ends - time.monotonic()))

    @property
    def headers(self) -> dict[str, str]:
        """Return the rate-limit headers of a Genesys answer."""
        return {
            "inin-ratelimit-count": str(self.count),
            "inin-ratelimit-allowed": str(self.allowed),
            "inin-ratelimit-reset": str(self.reset),
        }


@dataclass(slots=True)
class _Issued:
    expires: float
    meter: Meter


class WorkerTokens:
    """Tokens of the client-credentials grant, by digest; the expired ones are forgotten at the next login."""

    def __init__(self, ttl: float, per_minute: int) -> None:
        self._ttl = ttl
        self._per_minute = per_minute
        self._issued: dict[str, _Issued] = {}

    def issue(self) -> str:
        """Return a new token."""
        now = time.monotonic()
        self._issued = {name: issued for name, issued in self._issued.items() if issued.expires > now}
        token = f"sandbox-worker-{secrets.token_urlsafe(32)}"
        self._issued[digest(token)] = _Issued(now + self._ttl, Meter(self._per_minute))
        return token

    def meter_of(self, token: str) -> Meter | None:
        """Return the meter of a live token, None for any other."""
        issued = self._issued.get(digest(token))
        return issued.meter if issued and issued.expires > time.monotonic() else None

    def revoke(self, token: str) -> bool:
        """Kill a token; whether it was live."""
        was_live = self.meter_of(token) is not None
        self._issued.pop(digest(token), None)
        return was_live
