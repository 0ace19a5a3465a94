"""What a directory says: a change of somebody is an event once, whatever the server leaves out, and nothing else is."""

import asyncio
import json
from contextlib import closing
from pathlib import Path

import pytest
from directory_lab import SECRET, followed, lab
from ldap.syncrepl import SyncRequestControl
from pausing_relay import PausingRelay
from servers.slapd import PASSWORD, SUFFIX, Slapd

from tasks.doors.ldap.people import News
from worker.directory.connection import Connection
from worker.directory.failures import DirectoryFailed
from worker.doors.ldap import following
from worker.doors.ldap.following import Forgotten, Held
from worker.doors.ldap.taking import Why
from worker.ledger import Ledger, Operator
from worker.operations import directories

pytest_plugins = ["directory_fixtures"]


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


async def test_whoever_lost_their_name_is_still_known(tmp_path: Path, slapd: Slapd, unit: str) -> None:
    """They are there, and locked under the name that they had; a stranger without one is nobody."""
    ada = slapd.add(f"cn=ada,{unit}", objectClass="inetOrgPerson", cn="ada", sn="ada", uid="ada")
    slapd.add(f"cn=nobody,{unit}", objectClass="inetOrgPerson", cn="nobody", sn="nobody")
    async with lab(tmp_path, slapd, unit) as found:
        connection = Connection(found.settings)
        await found.following.accept(connection, connection.everybody())
        slapd.change(ada, uid=[])
        await found.following.accept(connection, connection.everybody())
        assert await found.told() == []
        slapd.lock(ada)
        await found.following.accept(connection, connection.everybody())
        [event] = await found.told()
        assert json.loads(event.body)["data"]["sub_id"] == {"format": "opaque", "id": "ada"}
        connection.close()


async def test_a_change_that_the_server_never_tells_is_found_by_a_listing(
    tmp_path: Path, slapd: Slapd, unit: str
) -> None:
    """ReOpenLDAP#43: the cookie moves on, and the change before it was lost."""
    ada = slapd.person(unit, "ada")
    slapd.person(unit, "bob")
    async with lab(tmp_path, slapd, unit, listing_interval=1) as found:
        connection, _ = await found.begin()
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
        connection, first = await found.begin()
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
        connection, _ = await found.begin()
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
        connection, first = await found.begin()
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


async def test_a_search_that_ends_is_asked_anew(
    tmp_path: Path, slapd: Slapd, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its end calls the refresh done: behind it nothing is heard any more."""

    def ending(cookie: str | None, **_: str) -> SyncRequestControl:
        return SyncRequestControl(cookie=cookie, mode="refreshOnly")

    monkeypatch.setattr("worker.directory.connection.SyncRequestControl", ending)
    slapd.person(unit, "ada")
    async with lab(tmp_path, slapd, unit) as found:
        connection = Connection(found.settings)
        connection.follow(None)
        with pytest.raises(DirectoryFailed, match="ended the search"):
            connection.next(5)
        connection.close()
