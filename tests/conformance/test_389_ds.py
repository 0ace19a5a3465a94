"""A directory of another make: what is locked or deleted in 389 DS is out everywhere, and nobody else."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from directory_installation import Followed, directory
from servers import Processes, wait_until
from servers.ds389 import ADMIN, Ds389


@pytest.fixture
def ds389(tmp_path: Path) -> Iterator[Ds389]:
    """A directory without people."""
    server = Ds389(tmp_path / "ds389").start()
    yield server
    server.kill9()


def test_whom_389_ds_locks_or_deletes_is_out_everywhere_and_nobody_else(
    tmp_path: Path, processes: Processes, ds389: Ds389
) -> None:
    """At once, or while we were killed, when it leaves out the attributes that are asked for (akkornel/syncrepl#24)."""
    unit = ds389.unit("people")
    users = {name: str(uuid.uuid4()) for name in ("ada", "bob", "cyd", "dan", "eve")}
    people = {name: ds389.person(unit, name, employeeNumber=user) for name, user in users.items()}
    ds389.lock(people["bob"])
    door = directory(tmp_path, ds389.url, unit, server="389-ds", bind_dn=ADMIN)
    followed = Followed(tmp_path, processes, door)
    followed.system.start()
    process = followed.follow(5)
    ds389.lock(people["ada"])
    locked = time.monotonic()
    wait_until(lambda: users["ada"] in followed.out(), 30, "Ada to be out")
    print(f"out {time.monotonic() - locked:.2f} s after she was locked")
    for _ in range(2):
        process.kill9()
        process = followed.follow(5)
    process.kill9()
    ds389.delete(people["cyd"])
    ds389.lock(people["dan"])
    followed.follow(4)
    expected = {users[name] for name in ("ada", "cyd", "dan")}
    wait_until(lambda: followed.out() == expected, 30, "Cyd and Dan to be out")
    for _ in range(2):
        ds389.unlock(people["dan"])
        ds389.lock(people["dan"])
    ds389.lock(people["eve"])
    wait_until(lambda: users["eve"] in followed.out(), 30, "Eve to be out")
    told = followed.system.page("ldap")[1]
    assert 'revoker_door_events_total{door="corp",event_type="user.disabled"} 5.0' in told
    assert followed.out() == expected | {users["eve"]}
    followed.system.close()
