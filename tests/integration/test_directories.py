"""Directories that are followed: whom slapd locks or deletes is out everywhere, once, and nobody else ever."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from certificates import Authority, self_signed
from directory_installation import SOURCE, Followed, directory
from pausing_relay import PausingRelay
from prepared_ledgers import prepare
from servers import Processes, wait_until
from servers.slapd import PASSWORD, SUFFIX, Slapd

from tasks.doors.ldap import Settings as LdapSettings
from tasks.doors.ldap.people import News
from worker.broker.async_publisher import ThreadPublisher
from worker.broker.provenance import ProvenanceMac
from worker.broker.publisher import Publisher
from worker.database.cipher import RowCipher
from worker.database.thread import DatabaseThread
from worker.directory.connection import Connection
from worker.directory.failures import DirectoryFailed
from worker.doors.delivery import Delivery
from worker.doors.ldap import following
from worker.doors.ldap.following import Following, Forgotten, Held
from worker.doors.ldap.store import DirectoryStore, Standing
from worker.doors.ldap.taking import Why
from worker.doors.outbox import Outbox, OutgoingEvent
from worker.ledger import Ledger, Operator
from worker.operations import directories

SECRET: Final = b"subject-key-of-a-test-installation"


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory without people, which speaks TLS, by a certificate of the authority beside it."""
    home = tmp_path_factory.mktemp("directory")
    authority = Authority(home / "authority")
    server = Slapd(home / "slapd", authority.issue("127.0.0.1"), authority.file).start()
    server.found()
    yield server
    server.kill9()


@pytest.fixture
def unit(slapd: Slapd) -> str:
    """A place for the people of one test."""
    return slapd.unit(uuid.uuid4().hex)


def test_whom_slapd_locks_or_deletes_is_out_everywhere_and_nobody_else(
    tmp_path: Path, processes: Processes, slapd: Slapd, unit: str
) -> None:
    """Locked before we came: left alone. Locked: out. Too many while we were killed: out when an operator says so."""
    users = {name: str(uuid.uuid4()) for name in ("ada", "bob", "cyd", "dan", "eve", "fay")}
    people = {name: slapd.person(unit, name, employeeNumber=user) for name, user in users.items()}
    slapd.lock(people["bob"])
    followed = Followed(tmp_path, processes, directory(tmp_path, slapd.url, unit, largest_change=1))
    followed.system.start()
    process = followed.follow(6)
    slapd.lock(people["ada"])
    locked = time.monotonic()
    wait_until(lambda: users["ada"] in followed.out(), 30, "Ada to be out")
    print(f"out {time.monotonic() - locked:.2f} s after she was locked")
    process.kill9()
    slapd.delete(people["cyd"], people["dan"])
    followed.follow(6)
    wait_until(lambda: followed.listed()["held"] == 2, 30, "an operator to be asked")
    slapd.lock(people["eve"])
    assert followed.out() == {users["ada"]}
    assert 'revoker_directory_held_people{door="corp"} 2.0' in followed.system.page("ldap")[1]
    assert "2 people" in followed.system.revoker("doctor", code=1).stdout
    followed.system.revoker("ldap", "release", "corp", "--reason", "they left", "--yes")
    expected = {users[name] for name in ("ada", "cyd", "dan", "eve")}
    wait_until(lambda: followed.out() == expected, 30, "those who were released to be out")
    assert {user: followed.system.revoked()[user] for user in expected} == dict.fromkeys(expected, 1)
    assert "directory.release" in followed.system.revoker("audit", "list").stdout
    slapd.unlock(people["ada"])
    wait_until(lambda: "user.enabled" in followed.system.page("ldap")[1], 30, "Ada to be let in again")
    followed.system.close()


class Lab:
    """A directory followed in this process, whose events stay in the outbox: there is no broker."""

    def __init__(self, home: Path, outbox: Outbox, delivery: Delivery, settings: LdapSettings) -> None:
        self.url = f"sqlite:///{home / 'ledger.sqlite3'}"
        self.settings, self.outbox, self.delivery = settings, outbox, delivery
        self.following = Following("corp", SOURCE, settings, delivery, RowCipher(SECRET))

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
async def lab(home: Path, slapd: Slapd, unit: str, *, outbox_limit: int = 100, **settings: Any) -> AsyncIterator[Lab]:
    """The directory below *unit*, of which nothing was read yet."""
    prepare(f"sqlite:///{home / 'ledger.sqlite3'}")
    thread = DatabaseThread(f"sqlite:///{home / 'ledger.sqlite3'}", durable=True)

    def away() -> Any:
        raise ConnectionRefusedError

    publisher = ThreadPublisher(Publisher(away))
    outbox = Outbox(thread, RowCipher(SECRET), outbox_limit)
    read = LdapSettings.model_validate({**directory(home, slapd.url, unit), **settings})
    yield Lab(home, outbox, Delivery(publisher, outbox, ProvenanceMac(SECRET)), read)
    await publisher.close()
    thread.close()


@asynccontextmanager
async def followed(found: Lab) -> AsyncIterator[None]:
    """The directory as the process follows it."""
    running = asyncio.create_task(found.following.run())
    yield
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("left", [0, 3])
async def test_a_stripped_list_of_the_present_logs_out_nobody(
    tmp_path: Path, slapd: Slapd, unit: str, left: int
) -> None:
    """ReOpenLDAP#70, ReOpenLDAP#71, akkornel/syncrepl#24: a refresh that leaves out people, or all of them."""
    for number in range(5):
        slapd.person(unit, f"user{number}")
    async with lab(tmp_path, slapd, unit) as found:
        connection = Connection(found.settings)
        whole = connection.everybody()
        await found.following.accept(connection, whole)
        stripped = News({key: whole.people[key] for key in [*whole.people][:left]}, is_whole=True, cursor="later")
        with pytest.raises(Held):
            await found.following.accept(connection, stripped)
        stands = await found.stands()
        assert (await found.told(), stands.cursor, stands.held_why) == ([], None, Why.CONTRADICTION)
        assert len(stands.held_people) == 5 - left
        await found.following.accept(connection, connection.everybody())
        assert ((await found.stands()).held_people, found.following.held, await found.told()) == (frozenset(), None, [])
        connection.close()


async def test_everybody_at_once_is_an_operators_decision(tmp_path: Path, slapd: Slapd, unit: str) -> None:
    """However few they are: an answer without anybody may be that of a base, a filter or a right that is wrong."""
    both = [slapd.person(unit, name) for name in ("ada", "bob")]
    async with lab(tmp_path, slapd, unit) as found:
        connection = Connection(found.settings)
        await found.following.accept(connection, connection.everybody())
        slapd.delete(*both)
        with pytest.raises(Held):
            await found.following.accept(connection, connection.everybody())
        assert ((await found.stands()).held_why, await found.told()) == (Why.FLOOD, [])
        connection.close()


async def test_a_list_that_the_server_cuts_short_is_none(tmp_path: Path, slapd: Slapd, unit: str) -> None:
    """A limit of size, which an administrator may set today, ends the look with an error."""
    names = {"cn": "cut", "sn": "cut", "userPassword": PASSWORD}
    slapd.add(f"cn=cut,{SUFFIX}", objectClass="inetOrgPerson", **names)
    for number in range(5):
        slapd.person(unit, f"user{number}")
    async with lab(tmp_path, slapd, unit, bind_dn=f"cn=cut,{SUFFIX}") as found:
        connection = Connection(found.settings)
        with pytest.raises(DirectoryFailed, match="EXCEEDED"):
            connection.everybody()
        connection.close()


async def test_whoever_is_made_anew_is_somebody_else(tmp_path: Path, slapd: Slapd, unit: str) -> None:
    """akkornel/syncrepl#5: deleted and made again with the same DN: the one before is out, once, the new one is in."""
    old = slapd.person(unit, "ada")
    slapd.person(unit, "bob")
    async with lab(tmp_path, slapd, unit) as found:
        connection = Connection(found.settings)
        await found.following.accept(connection, connection.everybody())
        slapd.delete(old)
        slapd.person(unit, "ada")
        for _ in range(2):
            await found.following.accept(connection, connection.everybody())
        assert [each.event_type for each in await found.told()] == ["user.disabled"]
        slapd.lock(old)
        await found.following.accept(connection, connection.everybody())
        assert [each.event_type for each in await found.told()] == ["user.disabled"] * 2
        connection.close()


async def test_a_change_that_the_server_never_tells_is_found_by_a_listing(
    tmp_path: Path, slapd: Slapd, unit: str
) -> None:
    """ReOpenLDAP#43: the cookie moves on, and the change before it was lost."""
    ada = slapd.person(unit, "ada")
    slapd.person(unit, "bob")
    async with lab(tmp_path, slapd, unit, listing_interval=1) as found:
        connection = Connection(found.settings)
        connection.follow(None)
        first = connection.next(5)
        assert first
        await found.following.accept(connection, first)
        slapd.lock(ada)
        lost = connection.next(5)
        assert lost
        assert lost.cursor
        await found.moves(lost.cursor)
        connection.close()
        async with followed(found):
            while not await found.told():  # noqa: ASYNC110 - a row of the database
                await asyncio.sleep(0.05)
        assert [each.event_type for each in await found.told()] == ["user.disabled"]


async def test_a_deletion_between_two_refreshes_is_told(tmp_path: Path, slapd: Slapd, unit: str) -> None:
    """python-ldap#564: whoever is deleted while nobody listens is named by the next refresh from the cookie."""
    ada = slapd.person(unit, "ada")
    slapd.person(unit, "bob")
    async with lab(tmp_path, slapd, unit) as found:
        connection = Connection(found.settings)
        connection.follow(None)
        first = connection.next(5)
        assert first
        await found.following.accept(connection, first)
        connection.close()
        slapd.delete(ada)
        again = Connection(found.settings)
        again.follow((await found.stands()).cursor)
        news = again.next(5)
        assert news
        await found.following.accept(again, news)
        assert [each.event_type for each in await found.told()] == ["user.disabled"]
        assert (await found.stands()).cursor == news.cursor != first.cursor
        again.close()


async def test_a_directory_that_is_forgotten_is_read_from_the_start(tmp_path: Path, slapd: Slapd, unit: str) -> None:
    """Nobody is logged out by that, and nothing that comes meanwhile is taken for news of strangers."""
    ada, bob = slapd.person(unit, "ada"), slapd.person(unit, "bob")
    async with lab(tmp_path, slapd, unit) as found:
        connection = Connection(found.settings)
        connection.follow(None)
        await found.following.accept(connection, connection.next(5) or News())
        with closing(Ledger.open(found.url, audit_secret=SECRET)) as ledger:
            directories.forget(ledger, directories.Directory("corp"), Operator("test@here", "another base"))
        slapd.lock(ada)
        with pytest.raises(Forgotten):
            await found.following.accept(connection, connection.next(5) or News())
        await found.following.accept(connection, connection.everybody())
        slapd.lock(bob)
        await found.following.accept(connection, connection.everybody())
        assert [each.event_type for each in await found.told()] == ["user.disabled"]
        connection.close()


async def test_what_a_server_tells_is_heard_though_it_lists_nobody(
    tmp_path: Path, slapd: Slapd, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of size that holds for listings alone keeps nobody logged in."""
    ada = slapd.person(unit, "ada")
    slapd.person(unit, "bob")

    def refused(_: Connection) -> News:
        raise DirectoryFailed("ldap.SIZELIMIT_EXCEEDED 4")

    monkeypatch.setattr(Connection, "everybody", refused)
    async with lab(tmp_path, slapd, unit, listing_interval=1) as found, followed(found):
        while (await found.stands()).cursor is None:  # noqa: ASYNC110 - a row of the database
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        slapd.lock(ada)
        while not await found.told():  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.05)


async def test_a_connection_that_died_unheard_is_found_out(
    tmp_path: Path, slapd: Slapd, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No packet says so: the server is asked whether it is there, and another connection is made."""
    monkeypatch.setattr(following, "PING_INTERVAL", 0.1)
    ada = slapd.person(unit, "ada")
    slapd.person(unit, "bob")
    with PausingRelay(slapd.port) as relay:
        url = f"ldap://127.0.0.1:{relay.port}"
        async with lab(tmp_path, slapd, unit, url=url, server_timeout=1) as found, followed(found):
            while (await found.stands()).cursor is None:  # noqa: ASYNC110 - a row of the database
                await asyncio.sleep(0.05)
            relay.pause()
            slapd.lock(ada)
            while not await found.told():  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.05)
            assert relay.connections == 2


async def test_what_is_not_kept_is_not_done(tmp_path: Path, slapd: Slapd, unit: str) -> None:
    """A full outbox: the person stays active and the cookie where it was, until there is room."""
    ada = slapd.person(unit, "ada")
    slapd.person(unit, "bob")
    async with lab(tmp_path, slapd, unit, outbox_limit=0) as found:
        connection = Connection(found.settings)
        connection.follow(None)
        first = connection.next(5)
        assert first
        await found.following.accept(connection, first)
        slapd.lock(ada)
        locked = connection.next(5)
        assert locked
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(found.following.accept(connection, locked), 0.5)
        assert ((await found.stands()).cursor, await found.told()) == (first.cursor, [])
        found.outbox._limit = 1
        assert await found.following.accept(connection, locked) == 1
        assert (await found.stands()).cursor == locked.cursor
        assert await found.following.accept(connection, locked) == 0
        connection.close()


async def test_a_cookie_that_the_server_refuses_is_dropped(tmp_path: Path, slapd: Slapd, unit: str) -> None:
    """One that is newer than what the server has, as after it was restored: the next refresh is of everybody."""
    slapd.person(unit, "ada")
    async with lab(tmp_path, slapd, unit) as found:
        connection = Connection(found.settings)
        connection.follow("rid=000,csn=20461127100000.000000Z#000000#000#000000")
        with pytest.raises(DirectoryFailed) as failed:
            connection.next(5)
        assert failed.value.is_of_cookie
        connection.close()


async def test_polls_find_what_has_changed_since(tmp_path: Path, slapd: Slapd, unit: str) -> None:
    """By modifyTimestamp: whoever was changed, and not everybody."""
    ada, bob = slapd.person(unit, "ada"), slapd.person(unit, "bob")
    async with lab(tmp_path, slapd, unit, way="poll") as found:
        connection = Connection(found.settings)
        await found.following.accept(connection, connection.changed(None))
        slapd.lock(ada)
        news = connection.changed((await found.stands()).cursor)
        assert not news.is_whole
        await found.following.accept(connection, news)
        assert [each.event_type for each in await found.told()] == ["user.disabled"]
        assert bob
        connection.close()


@pytest.mark.parametrize("way", ["ldaps", "starttls"])
def test_only_the_right_server_hears_the_password(
    tmp_path: Path, slapd: Slapd, unit: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its certificate is checked, whatever variables and files of libldap say."""
    monkeypatch.setenv("LDAPTLS_REQCERT", "never")
    address = {"url": f"ldaps://127.0.0.1:{slapd.tls_port}"} if way == "ldaps" else {"starttls": True}
    door = {**directory(tmp_path, slapd.url, unit), **address}
    trusted = slapd.authority
    Connection(LdapSettings.model_validate({**door, "tls": {"ca_file": str(trusted)}})).close()
    stranger = self_signed(tmp_path)
    for tls in ({"ca_file": str(stranger)}, {}):
        with pytest.raises(DirectoryFailed):
            Connection(LdapSettings.model_validate({**door, "tls": tls}))
