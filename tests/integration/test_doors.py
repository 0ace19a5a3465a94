"""The law of the doors: nothing is answered with 2xx before it is safe, whatever is away and whenever it is killed."""

import asyncio
import hmac
import json
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from door_installation import AWAY, OFF, SCIM_SECRET, Installed
from door_peer import ISSUER
from graph_samples import CHANGED
from keycloak_samples import updated
from okta_samples import DEACTIVATED
from servers import wait_until
from sqlalchemy import select

from worker import broker
from worker.broker import topology
from worker.broker.async_publisher import ThreadPublisher
from worker.broker.provenance import ProvenanceMac
from worker.broker.publisher import Publisher
from worker.database.cipher import RowCipher
from worker.database.engine import open_database
from worker.database.errors import LedgerUnavailable
from worker.database.tables import door_cursors
from worker.database.thread import DatabaseThread
from worker.doors.delivery import Delivery, NotSafe
from worker.doors.outbox import Outbox, OutgoingEvent
from worker.ledger import Ledger

pytest_plugins = ["door_fixtures"]

SIGNATURE: Final = "X-Keycloak-Signature"
SECRET: Final = b"subject-key-of-a-test-installation"


async def test_a_command_goes_its_whole_way_through_outage_and_kill(installed: Installed) -> None:
    """Taken while the broker is away, killed, started again: each user is out once, a redelivery is answered alike.

    Of a directory account and event are one commit: with a full outbox the account stays active, and it asks again.
    What the intake would refuse of a delivery takes nothing else of it along.
    """
    system, bearer, users = installed.system, installed.idp.token(), [str(uuid.UUID(int=n)) for n in range(1, 8)]
    system.env["REVOKER_PROVIDERS__GENESYS__SUBJECT_ISSUER"] = ISSUER
    door = installed.open(**AWAY, REVOKER_DOOR__OUTBOX_LIMIT="4")
    assert [await installed.command(users[n], bearer) for n in (0, 1, 1, 2)] == [204] * 4
    ada, bob = [await installed.provisions(user) for user in users[3:5]]
    assert (await installed.scims("PATCH", ada, OFF, secret="wrong-wrong-wrong-wrong"))[0] == 401
    assert (await installed.scims("PATCH", ada, OFF))[1]["active"] is False
    assert (await installed.scims("PATCH", bob, OFF))[0] == 503
    assert (await installed.scims("GET", bob))[1]["active"] is True
    shown = system.page("door")[1]
    assert 'revoker_outbox_events{door="idp"} 3.0' in shown
    assert 'revoker_door_requests_total{door="idp",word="accepted"} 4.0' in shown
    assert users[0].encode() not in b"".join(each.read_bytes() for each in system.home.glob("ledger*"))
    door.kill9()
    system.start()
    installed.open()
    assert await installed.command(users[1], bearer) == 204
    assert (await installed.scims("PATCH", bob, OFF))[1]["active"] is False
    assert await installed.posts("hook", hooked(users[5], "x" * 257), Authorization=f"Bearer {SCIM_SECRET}") == 400
    event = deleted(users[6])
    assert await installed.posts("keycloak", event, **{SIGNATURE: signed(event + b" ")}) == 401
    assert await installed.posts("keycloak", event, **{SIGNATURE: signed(event)}) == 204
    assert [await installed.posts("graph", each) for each in (CHANGED, CHANGED.replace(b"secret", b""))] == [202, 401]
    assert looks_wanted(system.document["ledger_url"]) == ["graph"]
    wait_until(lambda: set(users) <= set(system.dead()["genesys"]), 30, "every user to be out")
    assert {user: system.revoked()[user] for user in users} == dict.fromkeys(users, 1)
    wait_until(lambda: "revoker_outbox_events{" not in system.page("door")[1], 30, "an empty outbox")
    wait_until(lambda: "the last came" in system.revoker("doctor").stdout, 10, "the doctor to know")


def looks_wanted(ledger_url: str) -> list[str]:
    """The doors whose source a push has asked to be looked at."""
    database = open_database(ledger_url)
    with database.reading() as connection:
        found = [
            *connection.execute(select(door_cursors.c.door).where(door_cursors.c.wanted_at.is_not(None))).scalars()
        ]
    database.engine.dispose()
    return found


def deleted(user: str) -> bytes:
    """An event of Keycloak, an administrator of which deleted *user*."""
    now = int(time.time() * 1000)
    return json.dumps(updated(operationType="DELETE", resourcePath=f"users/{user}", time=now)).encode()


def signed(body: bytes) -> str:
    """The HMAC of *body* as Keycloak's webhooks write it."""
    return hmac.digest(SCIM_SECRET.encode(), body, "sha256").hex()


def hooked(*users: str) -> bytes:
    """A delivery of Okta, which deactivated *users*."""
    one = {**json.loads(DEACTIVATED), "published": datetime.now(UTC).isoformat()}
    events = [{**one, "uuid": f"u{n}", "target": [{"type": "User", "id": user}]} for n, user in enumerate(users)]
    return json.dumps({"data": {"events": events}}).encode()


def test_a_conformance_client_finds_nothing_but_what_we_mean(installed: Installed) -> None:
    """A display name is not kept: docs/doors.md says so. `make conformance` asks another client as well."""
    installed.open()
    arguments = (installed.scim, "--token", SCIM_SECRET, "--i-accept-side-effects", "--json-output")
    done = subprocess.run(
        [sys.executable, "-m", "scim_sanity", "probe", *arguments], capture_output=True, text=True, check=False
    )
    found = [(each["status"], each["name"]) for each in json.loads(done.stdout)["results"]]
    assert [name for status, name in found if status == "fail"] == ["GET /Users/{id} after PUT"]
    assert sum(status == "pass" for status, _ in found) > 15


class Switch:
    """The way to a broker, and to the ledger, each of which may be away."""

    def __init__(self, home: Path) -> None:
        self.url = f"embedded:///{home / 'broker.sqlite3'}"
        self.is_away = False
        with broker.connect(self.url) as connection:
            topology.declare(connection, [])

    def connect(self) -> Any:
        """A connection, or the error of a broker that is away."""
        if self.is_away:
            raise ConnectionRefusedError
        return broker.connect(self.url)

    def waiting(self) -> list[str]:
        """The ids of the events in the intake's queue, in order."""
        with broker.connect(self.url) as connection:
            channel = connection.channel()
            gotten = iter(lambda: channel.basic_get(topology.INTAKE_URGENT.name, no_ack=True), None)
            return [json.loads(each.body)["id"] for each in gotten]


def event(number: int) -> OutgoingEvent:
    """An event of a door."""
    return OutgoingEvent("idp", "user.disabled", json.dumps({"id": f"e{number}"}).encode())


@asynccontextmanager
async def delivery(home: Path, switch: Switch, limit: int = 10, ledger: str | None = None) -> AsyncIterator[Delivery]:
    """The delivery of a process with a ledger of its own, or at the URL *ledger*."""
    thread = DatabaseThread(ledger or f"sqlite:///{home / 'ledger.sqlite3'}", durable=True)
    publisher = ThreadPublisher(Publisher(switch.connect))
    outbox = Outbox(thread, RowCipher(SECRET), limit)
    made = Delivery(publisher, outbox, ProvenanceMac(SECRET))
    yield made
    await publisher.close()
    thread.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A folder with a ledger."""
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite3'}", audit_secret=SECRET)
    opened.upgrade()
    opened.close()
    return tmp_path


async def test_what_waits_in_the_outbox_leaves_in_its_order(ledger: Path) -> None:
    """What comes when the broker is back goes behind it; the same event waits once."""
    switch = Switch(ledger)
    async with delivery(ledger, switch) as made:
        await made.secure([event(1)])
        switch.is_away = True
        await made._publisher.close()
        made._publisher = ThreadPublisher(Publisher(switch.connect))
        for number in (2, 3, 3, 4):
            await made.secure([event(number)])
        switch.is_away = False
        await made.secure([event(5)])
        assert await made._drained() > 0
        await made.secure([event(6)])
    assert switch.waiting() == ["e1", "e2", "e3", "e4", "e5", "e6"]


async def test_where_neither_takes_it_the_sender_is_told_so(ledger: Path) -> None:
    """A full outbox and a ledger that is away are one answer; with the broker there the ledger is not needed."""
    switch = Switch(ledger)
    switch.is_away = True
    async with delivery(ledger, switch, limit=1) as made:
        await made.secure([event(1)])
        with pytest.raises(NotSafe):
            await made.secure([event(2)])
    switch.is_away = False
    async with delivery(ledger, switch, ledger="sqlite:////nowhere/ledger.sqlite3") as made:
        with pytest.raises(LedgerUnavailable):
            await made._outbox.look()
        await made.secure([event(3)])
    assert switch.waiting() == ["e3"]


async def test_slow_large_and_many_requests_are_refused_one_by_one(installed: Installed) -> None:
    """Each by its own status; the door goes on serving."""
    limits = {"RATE": "3", "MAX_BODY": "256", "TIMEOUT": "0.2"}
    installed.open(**{f"REVOKER_DOORS__IDP__{name}": value for name, value in limits.items()})
    headers = {"Authorization": f"Bearer {installed.idp.token()}"}

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(0.5)
        yield b"}"

    async with aiohttp.ClientSession() as session:
        for _ in range(5):  # strangers use up nothing
            async with session.post(installed.url, data=b"{}", headers={"Authorization": "Bearer x"}) as response:
                assert response.status == 401
        found = []
        for body in (b"x" * 257, slowly(), b"{}", b"{}"):
            async with session.post(installed.url, data=body, headers=headers) as response:
                found.append((response.status, "Retry-After" in response.headers))
    assert found == [(413, False), (408, False), (400, False), (429, True)]
