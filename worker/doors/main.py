"""The process `revoker door`: it serves the doors of the settings until it is asked to stop."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Final

import aiohttp
from kombu import Queue

from tasks.doors import KINDS
from tasks.doors.settings import Subscribed
from tasks.providers.http import open_session
from worker import broker, process, serving
from worker.broker import topology
from worker.database.cipher import RowCipher
from worker.database.thread import DatabaseThread
from worker.doors.app import make_app
from worker.doors.delivery import Delivery
from worker.doors.issuer_keys import IssuerKeys
from worker.doors.limits import Limits
from worker.doors.open_door import OpenDoor
from worker.doors.opening import made, open_delivery, running, tell_news
from worker.doors.outbox import Outbox
from worker.doors.proofs import Proofs
from worker.doors.queue_door import consuming
from worker.settings import Settings, SettingsError
from worker.settings.door_sources import source_of

logger = logging.getLogger(__name__)

IDLE_TIMEOUT: Final = 15.0  # seconds in which the head of a request must come


def run(settings: Settings, stop: process.Stop) -> None:
    """Serve until *stop*. Raises CannotListen."""
    with closing(DatabaseThread(settings.ledger_url.get_secret_value(), durable=True)) as thread:
        outbox = Outbox(thread, RowCipher.of(settings), settings.door.outbox_limit)
        asyncio.run(_serve(settings, outbox, stop))


async def _serve(settings: Settings, outbox: Outbox, stop: process.Stop) -> None:
    if not any(door.is_pushed or door.subscribed for door in settings.doors.values()):
        logger.warning("door.none_configured")
    async with open_doors(settings, outbox) as doors:
        app = make_app(settings.door, doors)
        listening = serving.serving(app, settings.door, "door", keepalive_timeout=IDLE_TIMEOUT, auto_decompress=False)
        async with listening as url:
            await serving.until_stopped(stop, logger, "door.listening", url=url)


@asynccontextmanager
async def open_doors(settings: Settings, outbox: Outbox) -> AsyncIterator[list[OpenDoor]]:
    """Open the doors of *settings*; until the end of the block what waits in *outbox* is published."""
    pushed = [name for name, door in settings.doors.items() if door.is_pushed]
    async with open_session() as session, open_delivery(settings, outbox) as delivery:
        doors = [_open(settings, name, session, delivery) for name in pushed]
        told = [
            (_queue(settings, name, door.subscribed), _open(settings, name, session, delivery).take)
            for name, door in settings.doors.items()
            if door.subscribed
        ]
        keys = {each.name: each.keys for each in doors if each.keys}
        async with running(tell_news(keys, delivery, outbox)), consuming(broker.connector(settings), told):
            yield doors


def _queue(settings: Settings, name: str, subscribed: Subscribed) -> Queue:
    if broker.is_embedded(settings.broker_url.get_secret_value()):
        raise SettingsError(f"doors.{name}.exchange: needs RabbitMQ, and broker_url names the embedded broker")
    return topology.door_queue(name, subscribed.exchange, subscribed.routing_keys)


def _open(settings: Settings, name: str, session: aiohttp.ClientSession, delivery: Delivery) -> OpenDoor:
    door, make = settings.doors[name], KINDS[settings.doors[name].kind].make
    keys = IssuerKeys(door.key_source, session) if door.key_source else None
    if door.leniencies:
        logger.warning("door.lenient", extra={"door": name, "settings": list(door.leniencies)})
    assert make, "something comes in by it"  # noqa: S101 - of a kind, not of input
    adapter = made(name, door, lambda: make(door))
    limits = Limits(door.rate, door.in_flight)
    source = source_of(name, settings.sources).source if KINDS[door.kind].types else ""
    return OpenDoor(name, source, door, adapter, Proofs(door), limits, keys, delivery, RowCipher.of(settings))
