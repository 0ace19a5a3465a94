"""A hold: which calls of a provider wait, on whose word, why, and until when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from tasks.providers import kind_of
from worker.settings import Settings

PROBE_MARGIN: Final = 5.0  # seconds a probe gets on top of the provider's timeout


class Scope(StrEnum):
    """Which calls of the provider instance wait."""

    ALL = "all"
    WORKER = "worker"  # those made with the worker's own credential


class OpenedBy(StrEnum):
    """On whose word they wait, which also decides how the hold ends."""

    OPERATOR = "operator"  # ends at its expiry, or released by an operator
    BREAKER = "breaker"  # ends when a probe succeeds
    PROVIDER = "provider"  # asked for by a Retry-After: ends when that is over


Key = tuple[str, Scope, OpenedBy, str]


@dataclass(frozen=True, slots=True)
class Hold:
    """Calls of *provider* wait. There is one hold at most for each provider, scope, opener and source."""

    provider: str
    scope: Scope
    opened_by: OpenedBy
    owner: str  # the operator, or the worker process that opened it
    reason: str  # in words, or the reason of the provider's refusals
    since: datetime
    until: datetime  # its end; of a breaker's: when the next call may go as the probe
    failed_probes: int = 0  # the opening included
    version: int = 0  # counts its changes: of two versions the higher one is true
    source: str = ""  # of events: only the calls that it asked for wait; empty: everybody's

    @property
    def key(self) -> Key:
        """What there is only one hold of."""
        return (self.provider, self.scope, self.opened_by, self.source)

    @property
    def is_probed(self) -> bool:
        """Whether it ends by a probe; the others end by themselves."""
        return self.opened_by is OpenedBy.BREAKER

    def blocks(self, *, own_credential: bool, source: str) -> bool:
        """Whether a call that *source* asked for waits; *own_credential*: it is made with the worker's own."""
        return (own_credential or self.scope is Scope.ALL) and self.source in {"", source}


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """How long holds last, in seconds, and what must be known of the providers."""

    first: float  # until the first probe; it doubles with each that fails
    cap: float
    longest_pause: float  # that a provider's Retry-After is honoured
    leases: Mapping[str, float]  # provider → how long a probe there may take
    worker_only: frozenset[str]  # providers all of whose calls are made with the worker's own credential

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of *settings*."""
        providers = settings.providers
        return cls(
            first=settings.hold.first,
            cap=settings.hold.cap,
            longest_pause=settings.retry.retry_after_cap,
            leases={name: each.timeout + PROBE_MARGIN for name, each in providers.items()},
            worker_only=frozenset(
                name for name, each in providers.items() if all(plan.own_credential for plan in kind_of(each).plans)
            ),
        )

    @property
    def longest(self) -> float:
        """The most seconds that a hold of a worker can last."""
        return max(self.cap, self.longest_pause, *self.leases.values(), 0)
