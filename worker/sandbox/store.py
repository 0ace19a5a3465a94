"""Who is logged in at a provider: the users' tokens that live, and the worker's own."""

import hashlib
import math
import secrets
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

AUTO_PREFIX: Final = "sbx-"
RATE_WINDOW: Final = 60.0  # seconds


def digest(secret: str) -> str:
    """Return the name under which the sandbox knows a token or reference: its SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


class TokenStore:
    """The tokens of one provider instance, by digest: no token is kept. One small entry for each token ever seen.

    With *auto_issue* an unknown token that starts with `sbx-`, and an unknown user, is taken as live on first sight.
    """

    def __init__(self, *, auto_issue: bool = False) -> None:
        self._auto_issue = auto_issue
        self._live: dict[str, bool] = {}
        self._of_user: defaultdict[str, set[str]] = defaultdict(set)

    def seed(self, token: str, user_id: str | None = None) -> None:
        """Make *token* live, again if need be, as one of the user's."""
        name = digest(token)
        self._live[name] = True
        if user_id is not None:
            self._of_user[user_id].add(name)

    def is_live(self, token: str) -> bool:
        """Whether *token* opens a door."""
        return self._live.get(digest(token), self._is_taken_on_sight(token))

    def is_known(self, token: str) -> bool:
        """Whether *token* is live or was."""
        return digest(token) in self._live or self._is_taken_on_sight(token)

    def revoke(self, token: str) -> bool:
        """Revoke *token*; whether it was live."""
        was_live = self.is_live(token)
        if was_live:
            self._live[digest(token)] = False
        return was_live

    def revoke_user(self, user_id: str) -> int | None:
        """Revoke all tokens of a user: how many were live, None for an unknown user."""
        if user_id not in self._of_user:
            if not self._auto_issue:
                return None
            self._of_user[user_id] = set()
            return 1
        live = [name for name in self._of_user[user_id] if self._live[name]]
        self._live.update(dict.fromkeys(live, False))
        return len(live)

    def expire(self, token: str) -> None:
        """Let *token* die by itself, as at the end of its session."""
        self._live[digest(token)] = False

    def dead(self) -> list[str]:
        """What opens no door any more: the digests of dead tokens, and the users none of whose tokens lives."""
        users = (user for user, tokens in self._of_user.items() if not any(self._live[name] for name in tokens))
        return [*(name for name, is_live in self._live.items() if not is_live), *users]

    def _is_taken_on_sight(self, token: str) -> bool:
        return self._auto_issue and token.startswith(AUTO_PREFIX)


@dataclass(slots=True)
class Meter:
    """How often a token was used in the current minute. Times are monotonic, in seconds."""

    expires: float  # the token
    allowed: int
    count: int = 0
    ends: float = field(default_factory=lambda: time.monotonic() + RATE_WINDOW)

    def tick(self) -> None:
        """Count one call, in a new window where the old one is over."""
        if time.monotonic() >= self.ends:
            self.count, self.ends = 0, time.monotonic() + RATE_WINDOW
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
        figures = {"count": self.count, "allowed": self.allowed, "reset": self.reset}
        return {f"inin-ratelimit-{name}": str(figure) for name, figure in figures.items()}


class WorkerTokens:
    """The worker's own tokens, of the client-credentials grant, by digest. A login forgets the expired ones."""

    def __init__(self, ttl: float, per_minute: int) -> None:
        self._ttl, self._per_minute = ttl, per_minute
        self._issued: dict[str, Meter] = {}

    def issue(self) -> str:
        """Return a new token."""
        now = time.monotonic()
        self._issued = {name: meter for name, meter in self._issued.items() if meter.expires > now}
        token = f"sandbox-worker-{secrets.token_urlsafe(32)}"
        self._issued[digest(token)] = Meter(now + self._ttl, self._per_minute)
        return token

    def meter_of(self, token: str) -> Meter | None:
        """Return the meter of a live token, None for any other."""
        meter = self._issued.get(digest(token))
        return meter if meter and meter.expires > time.monotonic() else None

    def revoke(self, token: str) -> bool:
        """Revoke a token; whether it was live."""
        was_live = self.meter_of(token) is not None
        self._issued.pop(digest(token), None)
        return was_live
