"""The Protocol of the worker that runs a revocation task."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from tasks.call import ProviderCall
from tasks.outcome import Permanent, Settled, Transient
from tasks.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class Held:
    """The provider is held: the call waits in the broker and burns no attempt."""

    reason: str
    delay: int  # whole seconds until it is looked at again
    tried: bool = False  # it was made, and found the provider, or our own credential, at fault


came_before: Final[ContextVar[bool]] = ContextVar("came_before", default=False)
"""Whether the broker delivered this message before: another worker may have made the call."""


class GivenBack(Exception):  # noqa: N818 - the name says what becomes of the call
    """The worker stops before the call's turn has come: it was not made, and its message goes back to its queue."""


class Runtime(Protocol):
    """The worker's side of a task. Each way to settle returns once the broker confirmed it."""

    policy: RetryPolicy

    def now(self) -> datetime:
        """The time, aware and in UTC."""

    async def execute(self, call: ProviderCall) -> Settled | Transient | Permanent | Held:
        """Make *call* at its provider, once. Raises GivenBack where the worker stops first."""

    async def settle(self, call: ProviderCall, outcome: Settled) -> None:
        """Record that *call* reached its goal."""

    async def begin(self, call: ProviderCall, parts: Sequence[ProviderCall]) -> None:
        """Publish the calls that *call* has become, *parts*, and that they are planned."""

    async def retry(self, call: ProviderCall, delay: int) -> None:
        """Have the broker bring *call* back after *delay* whole seconds."""

    async def hold(self, call: ProviderCall, held: Held) -> None:
        """Have the broker bring *call* back later, unattempted."""

    async def dead_letter(self, call: ProviderCall, reason: str, detail: Mapping[str, str]) -> None:
        """Give *call* up, for people to see."""

    async def publish_event(self, document: Mapping[str, object]) -> None:
        """Hand an event to the intake."""
