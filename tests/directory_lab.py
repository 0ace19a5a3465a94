"""A directory of slapd, followed in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from directory_installation import SOURCE, directory
from prepared_ledgers import prepare
from servers.slapd import Slapd

from tasks.doors.ldap import Settings as LdapSettings
from tasks.doors.ldap.people import News
from worker.broker.async_publisher import ThreadPublisher
from worker.broker.provenance import ProvenanceMac
from worker.broker.publisher import Publisher
from worker.database.cipher import RowCipher
from worker.database.thread import DatabaseThread
from worker.directory.connection import Connection
from worker.doors.delivery import Delivery
from worker.doors.ldap.following import Following
from worker.doors.ldap.store import DirectoryStore, Standing
from worker.doors.outbox import Outbox, OutgoingEvent

SECRET: Final = b"subject-key-of-a-test-installation"


class Lab:
    """A directory followed in this process, whose events stay in the outbox: there is no broker."""

    def __init__(self, url: str, outbox: Outbox, delivery: Delivery, settings: LdapSettings) -> None:
        self.url = url
        self.settings, self.outbox, self.delivery = settings, outbox, delivery
        self.following = Following("corp", SOURCE, settings, delivery, RowCipher(SECRET))

    async def begin(self) -> tuple[Connection, News]:
        """A connection that hears what changes, and what it heard at first, which is taken."""
        connection = Connection(self.settings)
        connection.follow(None)
        first = connection.next(5)
        assert first
        await self.following.accept(connection, first)
        return connection, first

    async def told(self) -> list[OutgoingEvent]:
        """The events so far."""
        return [event for _, event in await self.outbox.first(100)]

    async def stands(self) -> Standing:
        """How the directory stands."""
        return await self.delivery.read(lambda each: DirectoryStore(each, RowCipher(SECRET), "corp").standing())

    async def moves(self, cursor: str) -> None:
        """Have the next changes begin at *cursor*."""

        def job(transaction: Any) -> tuple[None, tuple[OutgoingEvent, ...]]:
            DirectoryStore(transaction, RowCipher(SECRET), "corp").move(cursor, datetime.now(UTC))
            return None, ()

        await self.delivery.transact(job)


@asynccontextmanager
async def lab(
    home: Path, slapd: Slapd, unit: str, *, outbox_limit: int = 100, ledger: str | None = None, **settings: Any
) -> AsyncIterator[Lab]:
    """The directory below *unit*, of which nothing was read yet; *ledger*: the URL of another one than SQLite's."""
    url = ledger or f"sqlite:///{home / 'ledger.sqlite3'}"
    prepare(url)
    thread = DatabaseThread(url, durable=True)

    def away() -> Any:
        raise ConnectionRefusedError

    publisher = ThreadPublisher(Publisher(away))
    outbox = Outbox(thread, RowCipher(SECRET), outbox_limit)
    read = LdapSettings.model_validate({**directory(home, slapd.url, unit), **settings})
    yield Lab(url, outbox, Delivery(publisher, outbox, ProvenanceMac(SECRET)), read)
    await publisher.close()
    thread.close()


@asynccontextmanager
async def followed(found: Lab) -> AsyncIterator[None]:
    """The directory as the process follows it."""
    running = asyncio.create_task(found.following.run())
    yield
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
