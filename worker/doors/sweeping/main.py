"""The process `revoker sweep`: it looks at the sources of doors until it is asked to stop."""

import asyncio
import importlib
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final

from joserfc.jwk import KeySet

from tasks.doors import KINDS
from tasks.doors.pull import Puller, Reach
from tasks.doors.swept import SweptDoorSettings
from tasks.providers.http import Edge, open_session
from worker import process, serving
from worker.database.cipher import RowCipher
from worker.database.errors import LedgerUnavailable
from worker.database.thread import DatabaseThread
from worker.doors.delivery import Delivery
from worker.doors.issuer_keys import IssuerKeys
from worker.doors.opening import made, open_delivery, running, tell_news
from worker.doors.outbox import Outbox
from worker.doors.sweeping.cursors import Cursors
from worker.doors.sweeping.findings import Sorting
from worker.doors.sweeping.sweeper import Sweeper
from worker.observability import metrics
from worker.settings import Settings
from worker.settings.door_sources import source_of

logger = logging.getLogger(__name__)

BODY_CAP: Final = 4 * 1024 * 1024  # bytes of a page that a source answers with


def run(settings: Settings, stop: process.Stop) -> None:
    """Look until *stop*."""
    with closing(DatabaseThread(settings.ledger_url.get_secret_value(), durable=True)) as thread:
        asyncio.run(_sweep(settings, thread, stop))


async def _sweep(settings: Settings, thread: DatabaseThread, stop: process.Stop) -> None:
    outbox = Outbox(thread, RowCipher.of(settings), settings.door.outbox_limit)
    cursors = Cursors(thread, RowCipher.of(settings), uuid.uuid4().hex)
    async with open_sweepers(settings, outbox, cursors) as sweepers:
        if not sweepers:
            logger.warning("sweep.none_configured")
        _show(sweepers)
        async with running(*(each.run() for each in sweepers)):
            await serving.until_stopped(stop, logger, "sweep.started", doors=[each.name for each in sweepers])


@asynccontextmanager
async def open_sweepers(settings: Settings, outbox: Outbox, cursors: Cursors) -> AsyncIterator[list[Sweeper]]:
    """Open what looks at sources by *settings*; until the end of the block what waits in *outbox* is published, too."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_release, cursors)
        delivery = await stack.enter_async_context(open_delivery(settings, outbox))
        opening = _Opening(settings, outbox, cursors, delivery, stack)
        sweepers = [await opening.sweeper(name) for name, door in settings.doors.items() if door.is_swept]
        await stack.enter_async_context(running(tell_news(opening.keys, delivery, outbox)))
        yield sweepers


async def _release(cursors: Cursors) -> None:
    with suppress(LedgerUnavailable):  # the leases end by themselves
        await cursors.release()


@dataclass(frozen=True, slots=True)
class _Opening:
    """Makes sweepers; what they need is closed with *stack*."""

    settings: Settings
    outbox: Outbox
    cursors: Cursors
    delivery: Delivery
    stack: AsyncExitStack
    keys: dict[str, IssuerKeys] = field(default_factory=dict)

    async def sweeper(self, name: str) -> Sweeper:
        """Return the one of the door *name*. Raises SettingsError where a package for its kind is missing."""
        door = self.settings.doors[name]
        assert isinstance(door, SweptDoorSettings), "it is swept"  # noqa: S101 - of a kind, not of input
        puller = await self._puller(name, door)
        grace = timedelta(seconds=door.sweep_grace) if door.is_pushed else None
        sorting = Sorting(name, source_of(name, self.settings.sources).source, grace, self.outbox)
        return Sweeper(name, puller, timedelta(seconds=door.sweep_interval), sorting, self.cursors, self.delivery)

    async def _puller(self, name: str, door: SweptDoorSettings) -> Puller:
        session = await self.stack.enter_async_context(open_session(tls=door.tls))
        if door.key_source:
            self.keys[name] = IssuerKeys(door.key_source, session)
        reach = Reach(Edge(session, door.sweep_timeout, BODY_CAP), partial(_keys, self.keys.get(name)))
        puller: Puller = made(name, door, lambda: _class_of(door.kind)(door, reach))
        self.stack.push_async_callback(puller.close)
        return puller


def _class_of(kind: str) -> Callable[[Any, Reach], Puller]:
    module, _, name = str(KINDS[kind].pull).partition(":")
    found: Callable[[Any, Reach], Puller] = getattr(importlib.import_module(module), name)
    return found


async def _keys(keys: IssuerKeys | None, anew: bool) -> KeySet | None:  # noqa: FBT001 - as a Reach asks
    return await keys.now(anew=anew) if keys else None


def _show(sweepers: Sequence[Sweeper]) -> None:
    """Have a metric follow *sweepers*."""
    metrics.SWEEP_LOOKED.follow(
        lambda: {(each.name,): each.looked_at.timestamp() for each in sweepers if each.looked_at}
    )
