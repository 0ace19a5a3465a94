"""The process `revoker ldap`: it follows the directories of the settings until it is asked to stop."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from tasks.doors.ldap import Settings as LdapSettings
from worker import process, serving
from worker.database.cipher import RowCipher
from worker.database.thread import DatabaseThread
from worker.doors.delivery import Delivery
from worker.doors.opening import made, open_delivery, running, tell_news
from worker.doors.outbox import Outbox
from worker.observability import metrics
from worker.settings import Settings
from worker.settings.door_sources import source_of

if TYPE_CHECKING:
    from worker.doors.ldap.following import Following

logger = logging.getLogger(__name__)


def run(settings: Settings, stop: process.Stop) -> None:
    """Follow until *stop*."""
    with closing(DatabaseThread(settings.ledger_url.get_secret_value(), durable=True)) as thread:
        outbox = Outbox(thread, RowCipher.of(settings), settings.door.outbox_limit)
        asyncio.run(_follow(settings, outbox, stop))


async def _follow(settings: Settings, outbox: Outbox, stop: process.Stop) -> None:
    async with open_delivery(settings, outbox) as delivery:
        followed = _followed(settings, delivery)
        if not followed:
            logger.warning("ldap.none_configured")
        _show(followed)
        async with running(tell_news({}, delivery, outbox), *(each.run() for each in followed)):
            await serving.until_stopped(stop, logger, "ldap.following", doors=[each.name for each in followed])


def _followed(settings: Settings, delivery: Delivery) -> "list[Following]":
    directories = {name: door for name, door in settings.doors.items() if isinstance(door, LdapSettings)}
    return [made(name, door, partial(_opened, settings, name, delivery)) for name, door in directories.items()]


def _opened(settings: Settings, name: str, delivery: Delivery) -> "Following":
    from worker.doors.ldap.following import Following  # noqa: PLC0415 - an extra: without directories it may be missing

    source, door = source_of(name, settings.sources).source, settings.doors[name]
    assert isinstance(door, LdapSettings), name  # noqa: S101 - it was chosen as one
    return Following(name, source, door, delivery, RowCipher.of(settings))


def _show(followed: "Sequence[Following]") -> None:
    """Have the metrics follow *followed*."""
    metrics.DIRECTORY_HELD.follow(lambda: {(each.name,): float(each.held.people) for each in followed if each.held})
    metrics.DIRECTORY_READ.follow(lambda: {(each.name,): each.read_at for each in followed if each.read_at})
