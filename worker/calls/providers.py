"""The provider instances of a worker, replaced while calls are made."""

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from tasks.providers import ProviderSettings, make_provider
from tasks.providers.http import open_session
from tasks.providers.provider import Provider
from tasks.sealing import Unsealer
from worker.observability import logs, tracing
from worker.settings import Settings
from worker.settings.files import Mark, marks

logger = logging.getLogger(__name__)

_TAKEN_UP: Final = {"providers", "log_level", "log_levels"}  # while the process runs
# Of a provider: what others than its instance go by.
_AT_START: Final = ("kind", "rate_limit", "subject_issuer", "session", "user")


class Instances:
    """Each with a session of its own. To be used on one event loop; *on_replaced* is called with the name of a new one.

    A call keeps the instance that it began with. A new one knows nothing of the old: neither its connections, nor the
    token that was bought with the secret before.
    """

    def __init__(self, settings: Settings, unsealer: Unsealer, on_replaced: Callable[[str], object]) -> None:
        self._settings, self._unsealer, self._on_replaced = settings, unsealer, on_replaced
        self._instances: dict[str, Provider] = {}
        self._certified: dict[str, list[Mark]] = {}  # the certificate files of each, as they were read
        self._sessions = AsyncExitStack()

    async def open(self) -> None:
        """Make them all."""
        for name, provider in self._settings.providers.items():
            self._instances[name] = await self._made(name, provider)

    async def close(self) -> None:
        """Close every session."""
        await self._sessions.aclose()

    def get(self, name: str) -> Provider | None:
        """The instance *name* as it is now; None where none is configured."""
        return self._instances.get(name)

    def files(self) -> tuple[Path, ...]:
        """The certificate files of all of them: renewed under their names, they are taken up as new settings are."""
        return tuple(file for provider in self._settings.providers.values() for file in provider.tls.files)

    async def take_up(self, settings: Settings) -> None:
        """Replace those that *settings* configure otherwise, or whose certificate files have changed."""
        old, self._settings = self._settings, settings
        logs.take_up(old, settings)
        for name, provider in settings.providers.items():
            before = old.providers.get(name)
            if before is None or provider.kind != before.kind:
                continue  # needs a restart
            if provider != before or marks(provider.tls.files) != self._certified[name]:
                self._instances[name] = await self._made(name, provider)
                logger.warning("provider.replaced", extra={"provider": name})
                self._on_replaced(name)
        if needed := _needs_restart(old, settings):
            logger.warning("settings.need_restart", extra={"settings": needed})

    async def _made(self, name: str, provider: ProviderSettings) -> Provider:
        limits = self._settings.worker
        connections = limits.in_flight_routine + limits.in_flight_urgent  # fewer would be a second, hidden limit
        self._certified[name] = marks(provider.tls.files)
        # The old session stays open for the calls that began on it; its idle connections close by themselves.
        traces = [spans.requests()] if (spans := tracing.spans()) else []
        opened = open_session(connections=connections, tls=provider.tls, traces=traces)
        session = await self._sessions.enter_async_context(opened)
        return make_provider(name, provider, session, self._unsealer)


def _needs_restart(old: Settings, new: Settings) -> list[str]:
    """The settings that differ and are read at a start alone."""
    names = [name for name in type(new).model_fields if name not in _TAKEN_UP]
    both = sorted(old.providers.keys() & new.providers.keys())
    return [
        *(name for name in names if getattr(old, name) != getattr(new, name)),
        *sorted(f"providers.{name}" for name in old.providers.keys() ^ new.providers.keys()),
        *(
            f"providers.{name}.{each}"
            for name in both
            for each in _AT_START
            if getattr(old.providers[name], each, None) != getattr(new.providers[name], each, None)
        ),
    ]
