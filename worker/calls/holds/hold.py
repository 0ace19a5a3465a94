"""A hold: which calls of a provider wait, on whose word, why, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Scope(StrEnum):
    """Which calls of the provider instance wait."""

    ALL = "all"
    WORKER = "worker"  # those made with the worker's own credential


class Opener(StrEnum):
    """On whose word they wait, which also tells how the hold ends."""

    OPERATOR = "operator"  # ends at its expiry, or released by an operator
    BREAKER = "breaker"  # ends when a probe succeeds
    PROVIDER = "provider"  # asked for by a Retry-After: ends when that is over


Key = tuple[str, Scope, Opener, str]


@dataclass(frozen=True, slots=True)
class Hold:
    """Calls of *provider* wait. There is one hold at most for each provider, scope, opener and source."""

    provider: str
    scope: Scope
    opened_by: Opener
    owner: str  # the operator, or the worker process that opened it
    reason: str  # in words, or the reason the provider's refusals gave
    since: datetime
    until: datetime  # its end; of a breaker's: when the next call may go as the probe
    strikes: int = 0  # failed probes, the opening included
    turn: int = 0  # counts its changes: of two versions the higher one is true
    source: str = ""  # of events: only the calls that it asked for wait; empty: everybody's

    @property
    def key(self) -> Key:
        """What there is only one hold of."""
        return (self.provider, self.scope, self.opened_by, self.source)

    @property
    def is_probed(self) -> bool:
        """Whether it ends by a probe; the others end by themselves."""
        return self.opened_by is Opener.BREAKER

    def covers(self, *, ours: bool, source: str) -> bool:
        """Whether a call that *source* asked for waits; *ours*: it is made with the worker's own credential."""
        return (ours or self.scope is Scope.ALL) and self.source in {"", source}
