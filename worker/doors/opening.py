"""What both processes of the doors open: the way by which events leave, the public keys, the news for the doctor."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

from tasks.doors.settings import CommonDoorSettings
from worker import broker
from worker.broker.async_publisher import AsyncPublisher, ThreadPublisher
from worker.broker.provenance import ProvenanceMac
from worker.broker.publisher import Publisher
from worker.database.errors import LedgerUnavailable
from worker.doors.delivery import Delivery
from worker.doors.issuer_keys import IssuerKeys
from worker.doors.outbox import Outbox
from worker.observability import metrics
from worker.settings import Settings, SettingsError

NEWS_INTERVAL: Final = 1.0  # seconds between two looks at keys, and at what the doctor is to know


@asynccontextmanager
async def open_delivery(settings: Settings, outbox: Outbox) -> AsyncIterator[Delivery]:
    """Open the way to the broker; until the end of the block what waits in *outbox* is published."""
    with suppress(LedgerUnavailable):  # the drain asks again, and says so
        await outbox.look()
    publisher = _publisher(settings)
    delivery = Delivery(publisher, outbox, ProvenanceMac.of(settings))
    _show(outbox)
    try:
        async with running(delivery.drain()):
            yield delivery
    finally:
        await publisher.close()


@asynccontextmanager
async def running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run *work* until the end of the block."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def tell_news(keys: Mapping[str, IssuerKeys], delivery: Delivery, outbox: Outbox) -> None:
    """Read *keys* before a sender has to wait for that, and write down what is new for the doctor, for ever."""
    told: tuple[dict[str, datetime], dict[str, datetime]] = {}, {}
    while True:
        await asyncio.sleep(NEWS_INTERVAL)
        await asyncio.gather(*(each.now() for each in keys.values()))
        news = dict(delivery.last), {name: each.read_at for name, each in keys.items() if each.read_at}
        if news != told:
            with suppress(LedgerUnavailable):  # it is told again
                await outbox.tell(*news)
                told = news


def made(name: str, door: CommonDoorSettings, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever it makes
    """Return what *make* makes for the door *name*. Raises SettingsError where a package for its kind is missing."""
    try:
        return make()
    except ModuleNotFoundError:
        extra = f"pip install 'revoker[{door.kind}]'"
        raise SettingsError(f"doors.{name}.kind: needs a package that is not installed: {extra}") from None


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
