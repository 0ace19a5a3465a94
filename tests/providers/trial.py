"""A provider on trial: what the contracts must know of it."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import ClassVar

import aiohttp
from calls import PLANTED

from tasks.call import ProviderCall
from tasks.outcome import Outcome
from tasks.providers.provider import Provider

TIMEOUT = 5.0  # seconds for one whole call
SHORT = 0.8  # seconds, where nothing but the time budget ends the call


class ProviderTrial(ABC):
    """Says how to make the provider under test, what to call, and what a success looks like."""

    call: ClassVar[ProviderCall]
    successes: ClassVar[Collection[int]]  # of the 2xx those that the vendor documents for the call

    @property
    def success_status(self) -> int:
        """Return a status of success."""
        return min(self.successes)

    @abstractmethod
    def make(self, url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT) -> Provider:
        """Return the provider under test, configured for a server at *url*."""

    def success(self) -> object:
        """Return the body of a success."""
        return None

    async def outcome(self, url: str, session: aiohttp.ClientSession, budget: float = TIMEOUT) -> Outcome:
        """Return what the call comes to, which shows none of the planted secrets."""
        outcome = await self.make(url, session, budget).execute(self.call)
        assert not [secret for secret in PLANTED if secret in f"{outcome!r}"]
        return outcome
