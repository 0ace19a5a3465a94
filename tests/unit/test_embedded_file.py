"""The file under the embedded broker: durable, private, sometimes locked or full, on its own clock."""

import itertools
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from embedded_probe import get, opened, put, taken
from kombu import Connection, Exchange, Message, Queue
from servers import wait_until

from worker.broker.embedded import BrokerUnavailable, register
from worker.broker.embedded.file import BrokerFile
from worker.broker.embedded.store import Disposition, IncomingMessage, Settlement, Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the broker's file will be."""
    return tmp_path / "var" / "broker.sqlite3"


@pytest.fixture
def broker(path: Path) -> Iterator[Connection]:
    """Connect, with one declared queue, `work`."""
    with opened(path, Queue("work")) as connection:
        yield connection


def raised_within(seconds: float, action: Callable[[], object]) -> BrokerUnavailable:
    """Return the connection error *action* ends in when repeated."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            action()
        except TimeoutError:
            continue
        except BrokerUnavailable as error:
            return error
    raise AssertionError("no connection error")


def count_calls(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[None]:
    """A list that grows with each call of a method."""
    calls: list[None] = []
    method = getattr(owner, name)

    def counted(self: object) -> object:
        calls.append(None)
        return method(self)

    monkeypatch.setattr(owner, name, counted)
    return calls


def test_a_message_survives_a_restart(broker: Connection, path: Path) -> None:
    """What publish returned for is on the disk."""
    put(broker, {"n": 1})
    broker.close()
    with Connection(f"embedded:///{path}") as again:
        assert taken(again).payload == {"n": 1}


def test_an_exchange_leads_on_to_another(path: Path) -> None:
    """As the producers' exchange does to the lanes."""
    with opened(path, Queue("work", Exchange("inner", "fanout"))) as connection:
        Exchange("events", "topic")(connection.default_channel).declare()
        Exchange("inner")(connection.default_channel).bind_to("events", routing_key="#")
        put(connection, 1, exchange="events")
        assert taken(connection).payload == 1


def test_the_file_is_private(broker: Connection, path: Path) -> None:
    """Nobody but its owner reads the queues."""
    put(broker, 1)
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_an_idle_consumer_waits_for_no_lock(broker: Connection, path: Path) -> None:
    """Looking for messages is a read: a busy writer does not disturb it."""
    with broker.Consumer([Queue("work")], on_message=print), closing(sqlite3.connect(path)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(TimeoutError):
            broker.drain_events(timeout=0.05)


def test_a_locked_file_is_a_connection_error_and_heals(
    broker: Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consumers get over short locks, name long ones, and go on when the lock is gone."""
    monkeypatch.setattr("worker.broker.embedded.connection.LOCK_TIMEOUT", 0.3)
    put(broker, 1)
    got: list[Message] = []
    with (
        Connection(f"embedded:///{path}") as other,
        other.Consumer([Queue("work")], on_message=got.append),
        closing(sqlite3.connect(path, isolation_level=None)) as writer,
    ):
        writer.execute("BEGIN IMMEDIATE")
        error = raised_within(5, lambda: other.drain_events(timeout=0.1))
        assert "locked" in str(error)
        assert isinstance(error, other.connection_errors)
        with pytest.raises(BrokerUnavailable, match="locked"):
            put(other, 2)
        writer.execute("ROLLBACK")
        other.drain_events(timeout=1)
    assert [message.body for message in got] == [b"1"]


def test_leases_that_cannot_be_renewed_are_said_once(
    broker: Connection, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However long the file is locked; who connects in vain meanwhile has no leases to leave, and says nothing."""
    assert broker.connected  # and has declared the queue
    monkeypatch.setattr("worker.broker.embedded.connection.LOCK_TIMEOUT", 0.05)
    tries = count_calls(monkeypatch, Store, "renew")
    with (
        Connection(f"embedded:///{path}", transport_options={"lease_seconds": 0.2}) as idle,
        idle.Consumer([Queue("work")], on_message=print),
        closing(sqlite3.connect(path, isolation_level=None)) as writer,
    ):
        writer.execute("BEGIN IMMEDIATE")
        before = len(tries)
        wait_until(lambda: len(tries) > before + 4, 10, "some more tries")
        with Connection(f"embedded:///{path}") as other, pytest.raises(BrokerUnavailable):
            put(other, 1)
        assert [record.message for record in caplog.records] == ["embedded.leases_not_renewed"]
        writer.execute("ROLLBACK")


def test_a_step_of_the_wall_clock_moves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases and delays are measured on a clock all processes share."""
    with closing(BrokerFile(path, durable=False, lock_timeout=1)) as before:
        monkeypatch.setattr(time, "time", lambda: 0.0)
        with closing(BrokerFile(path, durable=False, lock_timeout=1)) as after:
            assert after.now() == pytest.approx(before.now(), abs=1)


def test_a_full_disk_is_a_connection_error_and_loses_nothing(broker: Connection) -> None:
    """The publisher hears of it; what was stored stays; with room again, publishing goes on."""
    put(broker, 1)
    pages = broker.connection.durable.file._db
    pages.execute("PRAGMA max_page_count = 1")
    with pytest.raises(BrokerUnavailable, match="full"):
        put(broker, "x" * 100_000)
    pages.execute("PRAGMA max_page_count = 1000000")
    put(broker, 2)
    assert [taken(broker).payload, taken(broker).payload, get(broker)] == [1, 2, None]


def test_what_is_no_broker_file_is_a_connection_error(path: Path) -> None:
    """The message names the file and what is wrong with it."""
    path.parent.mkdir()
    path.write_text("not a database, and longer than a hundred bytes " * 4)
    register()
    with (
        Connection(f"embedded:///{path}") as connection,
        pytest.raises(BrokerUnavailable, match=r"broker\.sqlite3: file is not a database"),
    ):
        connection.transport.establish_connection()


def test_a_file_of_a_newer_release_is_refused(broker: Connection, path: Path) -> None:
    """An older process does not guess at what it cannot know."""
    broker.connection.durable.file._db.execute("PRAGMA user_version = 99")
    with Connection(f"embedded:///{path}") as other, pytest.raises(BrokerUnavailable, match="newer release"):
        other.transport.establish_connection()


def test_a_reboot_frees_every_lease(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every holder died with the machine: nobody waits for a lease that is measured on a clock gone by."""
    boot = tmp_path / "boot_id"
    boot.write_text("first")
    monkeypatch.setattr("worker.broker.embedded.file.BOOT_ID", boot)
    with opened(path, Queue("work")) as before:
        put(before, 1)
    with closing(BrokerFile(path, durable=False, lock_timeout=1)) as database:
        assert Store(database, "holder", lease_seconds=3600).lease({"work": 1}, 1)
    boot.write_text("second")
    with opened(path) as after:
        assert taken(after).payload == 1


def steps_of_a_lease(path: Path, waiting: int) -> int:
    """How many steps SQLite's machine makes to find, lease and settle a hundred of *waiting* messages."""
    store = Store(BrokerFile(path, durable=False, lock_timeout=1), "me", 15)
    store.declare_queue("work", {})
    store.publish(IncomingMessage("", "work", "{}", b"") for _ in range(waiting))
    steps = itertools.count()
    with store.file.read() as db:
        db.set_progress_handler(lambda: next(steps) and None, 1)
    assert store.has_ready(["work"])
    found = store.lease({"work": 100}, 100)
    store.settle([Settlement(each.message_id, Disposition.ACK) for each in found])
    store.file.close()
    return next(steps)


def test_a_lease_costs_the_same_however_many_messages_wait(tmp_path: Path) -> None:
    """Counted in steps, which no busy machine changes."""
    few, many = (steps_of_a_lease(tmp_path / f"{waiting}.sqlite3", waiting) for waiting in (200, 20_000))
    assert many < 1.1 * few


@pytest.mark.parametrize("size", [20, 5_000, 60_000])
def test_what_was_deleted_is_gone_from_the_file_and_its_log_while_processes_have_them_open(
    path: Path, size: int
) -> None:
    """A refused message may have held a token in clear: seconds after its acknowledgement it is nowhere."""
    marker = b"planted-marker-token-3f9a"
    with opened(path, Queue("work")) as other, closing(BrokerFile(path, durable=False, lock_timeout=1)) as database:
        taken_from(other)
        store, kept = Store(database, "me", 15), b"a message that stays"
        store.publish([IncomingMessage("", "work", "{}", body) for body in (kept, marker.ljust(size, b"."))])
        assert marker in bytes_of(path)
        deliveries = store.lease({"work": 2}, 2)
        store.settle([Settlement(deliveries[1].message_id, Disposition.ACK)])
        store.renew()
        assert marker not in bytes_of(path)
        assert kept in bytes_of(path)


def test_somebody_who_reads_for_long_stops_no_renewal_of_leases(path: Path) -> None:
    """What was deleted is then forgotten the next time."""
    with closing(BrokerFile(path, durable=True, lock_timeout=1)) as database, closing(sqlite3.connect(path)) as reader:
        store = Store(database, "me", 15)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM message").fetchone()
        began = time.monotonic()
        store.renew()
        assert time.monotonic() - began < 1
        reader.rollback()
        store.renew()
        assert Path(f"{path}-wal").stat().st_size == 0


def taken_from(connection: Connection) -> None:
    """Let *connection* have read the file."""
    connection.default_channel.queue_declare("work", passive=True)


def bytes_of(path: Path) -> bytes:
    """Everything that the file, its log and its index hold now."""
    return b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))
