"""The law of every look at a source: what it found is safe before the next one begins behind it; one process looks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from prepared_ledgers import prepare
from test_doors import Switch

from tasks.doors import ForeignEvent
from tasks.doors.accounts import Account, Accounts
from tasks.doors.pull import Found, Puller, PullFailed
from tasks.doors.swept import Finding
from worker.broker.async_publisher import ThreadPublisher
from worker.broker.provenance import ProvenanceMac
from worker.broker.publisher import Publisher
from worker.database.cipher import RowCipher
from worker.database.engine import open_database
from worker.database.tables import door_cursors, events
from worker.database.thread import DatabaseThread
from worker.doors.delivery import Delivery
from worker.doors.outbox import Outbox
from worker.doors.sweeping import cursors as lease
from worker.doors.sweeping.cursors import Cursors
from worker.doors.sweeping.findings import Sorting
from worker.doors.sweeping.sweeper import Sweeper
from worker.observability import metrics

pytest_plugins = ["ledger_fixtures"]

SECRET: Final = b"subject-key-of-a-test-installation"
SOURCE: Final = "https://directory.example.com"
MINUTE: Final = timedelta(minutes=1)
Pull = Callable[[str | None], Found]


def event(number: int, at: datetime | None = None, user: str = "u") -> ForeignEvent:
    """An event of a source, of now or *at*."""
    data = {"sub_id": {"format": "iss_sub", "iss": SOURCE, "sub": user}}
    return ForeignEvent("user.disabled", f"e{number}", at or datetime.now(UTC), data)


class Pulled:
    """A source that gives what *answers* says, one look after the other; the last one for ever."""

    def __init__(self, *answers: Found | Exception) -> None:
        self.answers = list(answers)
        self.cursors: list[str | None] = []
        self.gate: asyncio.Event | None = None

    async def pull(self, cursor: str | None, now: datetime) -> Found:
        """Return or raise the next one."""
        self.cursors.append(cursor)
        if self.gate:
            await self.gate.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing is open."""


class Listing(Pulled):
    """A directory whose list tells who is active: *news* is user → whether they are."""

    def settle(self, news: object, accounts: Accounts, now: datetime) -> tuple[ForeignEvent, ...]:
        """Return an event for each who was active and is not."""
        assert isinstance(news, dict)
        found: list[ForeignEvent] = []
        for user, is_active in news.items():
            before = accounts.get(user)
            accounts.put(Account(user, user, None, is_active, 1, now, now))
            if before and before.is_active and not is_active:
                found.append(event(len(found), now, user))
        if news.get("truncated"):
            raise PullFailed("refresh.truncated")
        return tuple(found)


class Place:
    """A ledger and a broker."""

    def __init__(self, home: Path, url: str) -> None:
        self.switch, self.url = Switch(home), url
        prepare(self.url)

    @asynccontextmanager
    async def sweeper(
        self, puller: Puller, holder: str = "one", grace: timedelta | None = MINUTE
    ) -> AsyncIterator[Any]:
        """One process that looks."""
        thread = DatabaseThread(self.url, durable=True)
        cipher, publisher = RowCipher(SECRET), ThreadPublisher(Publisher(self.switch.connect))
        outbox = Outbox(thread, cipher, 100)
        delivery, sorting = Delivery(publisher, outbox, ProvenanceMac(SECRET)), Sorting("idp", SOURCE, grace, outbox)
        yield Sweeper("idp", puller, MINUTE, sorting, Cursors(thread, cipher, holder), delivery)
        await publisher.close()
        thread.close()

    def write(self, statement: Any) -> None:
        """Change the ledger."""
        database = open_database(self.url)
        with database.writing() as connection:
            connection.execute(statement)
        database.engine.dispose()

    def row(self) -> Any:
        """The row of the door."""
        database = open_database(self.url)
        with database.reading() as connection:
            row = connection.execute(door_cursors.select()).one()
        database.engine.dispose()
        return row

    def want(self) -> None:
        """Ask for a look, as a push does."""
        database = open_database(self.url)
        with database.writing() as connection:
            lease.want_look(connection, "idp")
        database.engine.dispose()

    def due(self) -> None:
        """Let the time of the next look come."""
        self.write(door_cursors.update().values(due_at=None))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A ledger and a broker of their own."""
    return Place(tmp_path, f"sqlite:///{tmp_path / 'ledger.sqlite3'}")


@pytest.fixture
def counted() -> Callable[[], dict[str, float]]:
    """What the metric has counted since."""
    before = dict(metrics.SWEEP_EVENTS.values())
    return lambda: {
        finding: count - before.get((door, finding), 0)
        for (door, finding), count in metrics.SWEEP_EVENTS.values().items()
        if count > before.get((door, finding), 0)
    }


async def test_what_a_look_found_is_published_before_the_next_begins_behind_it(
    place: Place, counted: Callable[[], dict[str, float]]
) -> None:
    """Broker and outbox away: the cursor stays, and the same look is repeated; then it moves, and is not readable."""
    puller = Pulled(Found((event(1), event(2)), "secret-cursor", more=True), Found((), "next"))
    async with place.sweeper(puller) as sweeper:
        sweeper.delivery._outbox._limit, place.switch.is_away = 1, True
        puller.answers.insert(0, puller.answers[0])
        assert await sweeper.look() >= timedelta(seconds=1)
        assert (place.row().fault, place.row().sealed) == ("not_safe", None)
        await sweeper.delivery._publisher.close()
        sweeper.delivery._publisher = ThreadPublisher(Publisher(place.switch.connect))
        place.switch.is_away = False
        assert timedelta() < await sweeper.look() <= timedelta(seconds=5)  # it is not due yet
        place.due()
        assert await sweeper.look() == timedelta()
        assert await sweeper.look() == MINUTE
    assert puller.cursors == [None, None, "secret-cursor"]
    assert place.switch.waiting() == ["e1", "e2"]
    assert place.row().fault is None
    assert b"next" not in place.row().sealed
    assert counted() == {Finding.EARLY: 2}


async def test_what_the_push_missed_is_told_from_what_it_brought(
    place: Place, counted: Callable[[], dict[str, float]]
) -> None:
    """Known by the ledger: not published again. Older than the grace: missed. Of a door without push: neither."""
    old, now = datetime.now(UTC) - 2 * MINUTE, datetime.now(UTC)
    known = {"source": SOURCE, "event_id": "e1", "event_type": "user.disabled", "subject": "s"}
    place.write(events.insert().values(**known, occurred_at=old, received_at=old, change=1))
    found = tuple(event(number, at) for number, at in ((1, old), (2, old), (3, now)))
    bad = ForeignEvent("user.disabled", "e4", now, {"sub_id": {"format": "iss_sub"}})
    async with place.sweeper(Pulled(Found((*found, bad), "c"))) as sweeper:
        await sweeper.look()
    assert counted() == {Finding.KNOWN: 1, Finding.MISSED: 1, Finding.EARLY: 1, Finding.REFUSED: 1}
    assert place.switch.waiting() == ["e2", "e3"]
    assert place.row().missed == 1
    assert place.row().missed_at
    place.due()
    async with place.sweeper(Pulled(Found(found[1:2], "d")), grace=None) as sweeper:
        await sweeper.look()
    assert counted()[Finding.TAKEN] == 1


async def test_one_process_looks_and_another_one_when_that_is_gone(
    tmp_path: Path, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long look keeps its lease; who stops gives it back; who is silent loses it, and moves no cursor then."""
    place = Place(tmp_path, ledger_url)
    monkeypatch.setattr(lease, "LEASE", timedelta(seconds=0.9))
    monkeypatch.setattr("worker.doors.sweeping.sweeper.LEASE", timedelta(seconds=0.9))
    first, second = Pulled(Found((), "of one")), Pulled(Found((), "of two"))
    async with place.sweeper(first) as one, place.sweeper(second, "two") as two:
        first.gate = asyncio.Event()
        looking = asyncio.create_task(one.look())
        await asyncio.sleep(1.5)
        assert await two.look() > timedelta()
        first.gate.set()
        assert await looking == MINUTE
        place.due()
        assert await two.look() > timedelta()
        assert second.cursors == []
        await one.cursors.release()
        assert await two.look() == MINUTE
        assert second.cursors == ["of one"]
        first.gate = asyncio.Event()
        place.write(door_cursors.update().values(due_at=None, held_until=None))
        looking = asyncio.create_task(one.look())
        await asyncio.sleep(0.05)
        place.write(door_cursors.update().values(holder="two"))
        assert await asyncio.wait_for(looking, 2) == timedelta(seconds=5)
        assert await two.look() == MINUTE
        assert second.cursors[-1] == "of two"


async def test_a_push_has_its_source_looked_at_at_once(place: Place) -> None:
    """Also one that comes during a look, which may have begun too early; a source that failed is left alone still."""
    puller = Pulled(Found((), "c1"), Found((), "c2"), Found((), "c3"), PullFailed("http.429", 70.0))
    async with place.sweeper(puller) as sweeper:
        place.want()
        puller.gate = asyncio.Event()
        looking = asyncio.create_task(sweeper.look())
        await asyncio.sleep(0.05)
        place.want()
        puller.gate.set()
        assert await looking == MINUTE
        assert await sweeper.look() == MINUTE
        assert timedelta() < await sweeper.look() <= timedelta(seconds=5)
        place.want()
        await sweeper.look()
        place.want()
        await sweeper.look()
        assert place.row().fault == "http.429"
        place.want()
        assert await sweeper.look() == timedelta(seconds=5)
    assert puller.cursors == [None, "c1", "c2", "c3"]


async def test_a_source_that_refuses_is_left_alone_longer_each_time(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """As long as it asks; across a restart; a bug of one kind is one more failure, and logged. Then it is as ever."""
    failing = Pulled(PullFailed("http.429", 70.0), KeyError("x"), PullFailed("net.connect"), Found((), "c"))
    async with place.sweeper(failing) as sweeper:
        assert timedelta(seconds=70) <= await sweeper.look() <= timedelta(seconds=78)
        assert (place.row().fault, sweeper.failures) == ("http.429", 1)
    async with place.sweeper(failing) as again:
        assert await again.look() == timedelta(seconds=5)  # not yet
        for reason in ("bug.KeyError", "net.connect"):
            place.due()
            await again.look()
            assert place.row().fault == reason
            assert place.row().failed_since
        place.due()
        assert await again.look() == MINUTE
        assert again.failures == 0
    assert [each.exc_info[0] for each in caplog.records if each.exc_info] == [KeyError]
    assert place.row().fault is None
    assert place.row().failed_since is None


async def test_accounts_their_events_and_the_cursor_are_one_commit(
    place: Place, counted: Callable[[], dict[str, float]]
) -> None:
    """A list that ends early changes nothing; the first list logs out nobody; only who changed does."""
    lists: list[dict[str, Any]] = [{"ada": True, "bob": False}, {"ada": False, "truncated": True}, {"ada": False}]
    listing = Listing(*(Found((), f"c{n}", news=news) for n, news in enumerate(lists)))
    async with place.sweeper(listing) as sweeper:
        assert await sweeper.look() == MINUTE
        assert counted() == {}
        place.due()
        await sweeper.look()
        assert place.row().fault == "refresh.truncated"
        assert counted() == {}
        place.due()
        await sweeper.look()
        assert listing.cursors == [None, "c0", "c0"]
        assert counted() == {Finding.EARLY: 1}
        await sweeper.delivery._drained()
    assert len(place.switch.waiting()) == 1


async def test_a_long_answer_is_given_up_when_the_process_stops(place: Place) -> None:
    """Cancelled where it waits, with the place of the next look as it was."""
    waiting = Pulled(Found((event(1),), "c"))
    waiting.gate = asyncio.Event()
    async with place.sweeper(waiting) as sweeper:
        running = asyncio.create_task(sweeper.run())
        await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert place.row().sealed is None
    assert place.switch.waiting() == []
