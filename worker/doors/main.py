"""The process `revoker door`: it serves the doors of the settings until it is asked to stop."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from typing import Final

import aiohttp

from tasks.doors import KINDS
from tasks.providers.http import open_session
from worker import broker, process, serving
from worker.broker.async_publisher import AsyncPublisher, ThreadPublisher
from worker.broker.provenance import ProvenanceMac
from worker.broker.publisher import Publisher
from worker.database.errors import LedgerUnavailable
from worker.database.thread import DatabaseThread
from worker.doors.app import make_app
from worker.doors.cipher import RowCipher
from worker.doors.delivery import Delivery
from worker.doors.issuer_keys import IssuerKeys
from worker.doors.limits import Limits
from worker.doors.open_door import OpenDoor
from worker.doors.outbox import Outbox
from worker.doors.proofs import Proofs
from worker.observability import metrics
from worker.settings import Settings, SettingsError
from worker.settings.door_sources import source_of

logger = logging.getLogger(__name__)

IDLE_TIMEOUT: Final = 15.0  # seconds in which the head of a request must come
NEWS_INTERVAL: Final = 1.0  # seconds between two looks at keys, and at what the doctor is to know


def run(settings: Settings, stop: process.Stop) -> None:
    """Serve until *stop*. Raises CannotListen."""
    with closing(DatabaseThread(settings.ledger_url.get_secret_value(), durable=True)) as thread:
        outbox = Outbox(thread, RowCipher.of(settings), settings.door.outbox_limit)
        asyncio.run(_serve(settings, outbox, stop))


async def _serve(settings: Settings, outbox: Outbox, stop: process.Stop) -> None:
    if not settings.doors:
        logger.warning("door.none_configured")
    async with open_doors(settings, outbox) as doors:
        app = make_app(settings.door, doors)
        listening = serving.serving(app, settings.door, "door", keepalive_timeout=IDLE_TIMEOUT, auto_decompress=False)
        async with listening as url:
            await serving.until_stopped(stop, logger, "door.listening", url)


@asynccontextmanager
async def open_doors(settings: Settings, outbox: Outbox) -> AsyncIterator[list[OpenDoor]]:
    """Open the doors of *settings*; until the end of the block what waits in *outbox* is published."""
    with suppress(LedgerUnavailable):  # the drain asks again, and says so
        await outbox.look()
    publisher = _publisher(settings)
    delivery = Delivery(publisher, outbox, ProvenanceMac.of(settings))
    _show(outbox)
    async with open_session() as session:
        doors = [_open(settings, name, session, delivery) for name in settings.doors]
        running = [asyncio.create_task(each) for each in (delivery.drain(), _tell(doors, delivery, outbox))]
        try:
            yield doors
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await publisher.close()


def _open(settings: Settings, name: str, session: aiohttp.ClientSession, delivery: Delivery) -> OpenDoor:
    door = settings.doors[name]
    keys = IssuerKeys(door.key_source, session) if door.key_source else None
    if door.leniencies:
        logger.warning("door.lenient", extra={"door": name, "settings": list(door.leniencies)})
    limits = Limits(door.rate, door.in_flight)
    try:
        adapter = KINDS[door.kind].make(door)
    except ModuleNotFoundError:
        extra = f"pip install 'revoker[{door.kind}]'"
        raise SettingsError(f"doors.{name}.kind: needs a package that is not installed: {extra}") from None
    source = source_of(name, settings.sources).source
    return OpenDoor(name, source, door, adapter, Proofs(door), limits, keys, delivery, RowCipher.of(settings))


def _publisher(settings: Settings) -> AsyncPublisher | ThreadPublisher:
    connect = broker.connector(settings)
    is_embedded = broker.is_embedded(settings.broker_url.get_secret_value())
    return ThreadPublisher(Publisher(connect)) if is_embedded else AsyncPublisher(connect)


def _show(outbox: Outbox) -> None:
    """Have the metrics follow *outbox*."""
    metrics.OUTBOX_EVENTS.follow(lambda: {(door,): each.events for door, each in outbox.waiting.items()})
    metrics.OUTBOX_OLDEST.follow(
        lambda: {(door,): (datetime.now(UTC) - each.since).total_seconds() for door, each in outbox.waiting.items()}
    )


async def _tell(doors: Sequence[OpenDoor], delivery: Delivery, outbox: Outbox) -> None:
    """Read keys before a sender has to wait for that, and write down what is new for the doctor, for ever."""
    told: tuple[dict[str, datetime], dict[str, datetime]] = {}, {}
    while True:
        await asyncio.sleep(NEWS_INTERVAL)
        await asyncio.gather(*(each.keys.now() for each in doors if each.keys))
        news = dict(delivery.last), {each.name: each.keys.read_at for each in doors if each.keys and each.keys.read_at}
        if news != told:
            with suppress(LedgerUnavailable):  # it is told again
                await outbox.tell(*news)
                told = news
