"""Directories that are followed: whom slapd locks or deletes is out everywhere, once, and nobody else ever."""

import asyncio
import time
import uuid
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from certificates import self_signed
from directory_installation import SOURCE, Followed, directory
from directory_lab import SECRET, lab
from prepared_ledgers import prepare
from servers import Processes, wait_until
from servers.slapd import Slapd

from tasks.doors.ldap import Settings as LdapSettings
from worker.directory.connection import Connection
from worker.directory.failures import DirectoryFailed
from worker.doors.ldap.following import Held
from worker.ledger import Ledger, Operator
from worker.operations import RefusedRequest, directories
from worker.operations.doctor.directories import examine
from worker.settings import Settings

pytest_plugins = ["directory_fixtures"]


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


async def test_an_operator_lets_a_flood_go_on(tmp_path: Path, slapd: Slapd, unit: str, postgres_url: str) -> None:
    """Those they saw, and no more than the settings let it besides; of two processes one tells it (PostgreSQL)."""
    people = [slapd.person(unit, f"user{number}") for number in range(6)]
    one = lab(tmp_path, slapd, unit, ledger=postgres_url, largest_change=1)
    async with one as found, lab(tmp_path, slapd, unit, ledger=postgres_url, largest_change=1) as other:
        connection = Connection(found.settings)
        await found.following.accept(connection, connection.everybody())
        slapd.delete(*people[:3])
        with pytest.raises(Held):
            await found.following.accept(connection, connection.everybody())
        with closing(Ledger.open(found.url, audit_secret=SECRET)) as ledger:
            held = directories.Directory("corp", held=3, held_at=datetime.now(UTC), held_why="flood")
            with pytest.raises(RefusedRequest):
                directories.release(ledger, replace(held, held=2), Operator("test@here", "they left"))
            directories.release(ledger, held, Operator("test@here", "they left"))
        slapd.lock(people[3])
        news, beside = connection.everybody(), Connection(other.settings)
        taken = await asyncio.gather(found.following.accept(connection, news), other.following.accept(beside, news))
        assert sorted(taken) == [0, 4]
        assert len(await found.told()) == 4
        connection.close()
        beside.close()


def test_the_doctor_tells_of_a_directory_that_nobody_follows(tmp_path: Path) -> None:
    """And of its server, which is away."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    prepare(url)
    door = directory(tmp_path, "ldap://127.0.0.1:9", "dc=example,dc=com")
    sources = {"corp": {"source": SOURCE, "doors": ["corp"], "types": ["user.disabled", "user.enabled"]}}
    settings = {"ledger_url": url, "subject_key": SECRET.decode(), "sources": sources, "doors": {"corp": door}}
    found = examine(Settings.model_validate(settings))
    expected = [("directory.connection", "failed"), ("directory.held", "warning")]
    assert [(each.check, each.state) for each in found] == expected
