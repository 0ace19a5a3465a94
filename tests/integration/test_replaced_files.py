"""A file of ours that is deleted, or replaced by its backup, under the processes that use it."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from kombu import Connection, Queue
from ledger_figures import totals
from ledger_records import outcome, planned

from tasks.outcome import State
from worker import broker
from worker.broker.embedded import BrokerUnavailable
from worker.broker.publication import Message
from worker.broker.publisher import Publisher
from worker.database.engine import Database
from worker.database.sqlite_file import FileIdentity, connect, create_private
from worker.database.thread import DatabaseThread
from worker.ledger import Ledger, LedgerUnavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger's file is. Every character of it means itself."""
    return tmp_path / "led?ger #1 %41.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """A ledger with one planned event in it."""
    opened = Ledger.open(f"sqlite:///{quote(str(path))}")
    opened.upgrade()
    opened.record([planned()])
    yield opened
    opened.close()


def backup(path: Path) -> Path:
    """A copy of the database at *path* as it is now."""
    copy = path.with_suffix(".backup")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def delete(path: Path) -> None:
    """Delete a database with what SQLite keeps beside it."""
    for name in ("", "-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)


def restore(path: Path) -> None:
    """Put a backup in the place of the database."""
    copy = backup(path)
    delete(path)
    copy.rename(path)


@pytest.mark.parametrize("remove", [delete, restore])
def test_nothing_is_recorded_in_a_ledger_that_was_deleted_or_replaced(
    ledger: Ledger, path: Path, remove: Callable[[Path], None]
) -> None:
    """What is acknowledged stands in the file that others open; SQLite would go on with the one that is gone."""
    remove(path)
    with pytest.raises(LedgerUnavailable, match="the file was deleted or replaced"):
        ledger.record([outcome(State.ACCEPTED)])


def test_a_ledger_put_back_from_its_backup_is_written_at_once(ledger: Ledger, path: Path) -> None:
    """The first transaction says that something happened, the second one is in the new file."""
    restore(path)
    with pytest.raises(LedgerUnavailable):
        ledger.record([outcome(State.ACCEPTED)])
    ledger.record([outcome(State.ACCEPTED)])
    with closing(sqlite3.connect(path)) as seen:
        assert seen.execute("SELECT state FROM calls").fetchall() == [("accepted",)]


def test_a_commit_into_a_file_that_was_replaced_meanwhile_is_no_commit(ledger: Ledger, path: Path) -> None:
    """The file may go between the look at it and the commit."""
    with pytest.raises(LedgerUnavailable, match="the file was deleted or replaced"), ledger.database.writing():
        restore(path)


def test_a_read_of_a_file_that_was_replaced_is_no_answer(ledger: Ledger, path: Path) -> None:
    """The old file knows nothing of what happened since."""
    restore(path)
    with pytest.raises(LedgerUnavailable):
        totals(ledger)
    assert totals(ledger).events == 1


def test_no_empty_ledger_takes_the_place_of_a_deleted_one(ledger: Ledger, path: Path) -> None:
    """An operator is told what to do; a recorder that tries again must not make people believe that nothing was."""
    delete(path)
    for _ in range(3):
        with pytest.raises(LedgerUnavailable) as told:
            ledger.upgrade()
    assert "put its backup there, or make an empty one: run `revoker ledger upgrade`" in str(told.value)
    assert not path.exists()


def test_looking_at_a_ledger_makes_none(tmp_path: Path) -> None:
    """A command with a mistyped path leaves no file behind."""
    missing = Ledger.open(f"sqlite:///{tmp_path}/nothing.sqlite3")
    with pytest.raises(LedgerUnavailable, match="no such file"):
        totals(missing)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_goes_while_it_is_opened_is_let_go(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that nobody uses would keep the deleted file on the disk."""
    ledger.close()

    def gone(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "chmod", gone)
    other = Ledger.open(f"sqlite:///{quote(str(path))}")
    with pytest.raises(LedgerUnavailable, match="no such file") as refused:
        totals(other)
    assert refused.value.__traceback__  # whose frames hold what was opened
    assert not [link for link in Path("/proc/self/fd").iterdir() if os.path.realpath(link) == str(path)]


def events_of(database: Database) -> int:
    """How many events are on record."""
    return totals(Ledger(database)).events


@pytest.mark.usefixtures("ledger")
def test_a_desk_goes_on_with_the_file_that_is_there_now(path: Path) -> None:
    """Workers and intakes ask it all the time: they hear of it once."""
    desk = DatabaseThread(f"sqlite:///{quote(str(path))}")
    assert desk.run_sync(events_of, 5) == 1
    restore(path)
    with pytest.raises(LedgerUnavailable):
        desk.run_sync(events_of, 5)
    assert desk.run_sync(events_of, 5) == 1
    desk.close()


def test_a_file_replaced_while_it_is_opened_is_opened_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would know which of the two it is."""
    create_private(path)
    answers = [FileIdentity(1, 1), FileIdentity(1, 2), FileIdentity(1, 2), FileIdentity(1, 2)]
    monkeypatch.setattr(FileIdentity, "at", lambda _path: answers.pop(0))
    connection, found = connect(path, 1.0)
    connection.close()
    assert (found, answers) == (FileIdentity(1, 2), [])


def drain_for(connection: Connection, seconds: float) -> None:
    """Take in what comes."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with suppress(TimeoutError):
            connection.drain_events(timeout=0.02)


@pytest.fixture
def queue() -> Queue:
    """A queue of the embedded broker."""
    return Queue("work", durable=True)


@pytest.mark.parametrize("remove", [delete, restore])
def test_nothing_is_published_into_a_broker_file_that_is_gone(
    tmp_path: Path, queue: Queue, remove: Callable[[Path], None]
) -> None:
    """What is confirmed waits where the processes look: the publisher goes to the file that is there now."""
    path = tmp_path / "broker.sqlite3"
    with broker.connect(f"embedded:///{path}") as first:
        queue(first.default_channel).declare()
    with Publisher(lambda: broker.connect(f"embedded:///{path}")) as publisher:
        publisher.publish_all([Message("", "work", b"1")])
        remove(path)
        with broker.connect(f"embedded:///{path}") as now:
            queue(now.default_channel).declare()
            assert publisher.publish([Message("", "work", b"2")]) == [None]
            found = now.SimpleQueue(queue)
            assert b"2" in {found.get(timeout=1).body for _ in range(found.qsize())}


def test_a_consumer_of_a_broker_file_that_is_gone_hears_of_it(
    tmp_path: Path, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a broker that is away: it connects again, and consumes from the file that is there now."""
    monkeypatch.setattr(
        "worker.broker.embedded.connection.LOCK_TIMEOUT", 0.1
    )  # that a file may be locked before it is said
    path = tmp_path / "broker.sqlite3"
    with broker.connect(f"embedded:///{path}") as connection, connection.Consumer([queue], on_message=print):
        restore(path)
        with pytest.raises(BrokerUnavailable, match="the file was deleted or replaced"):
            drain_for(connection, 10.0)


def test_the_embedded_broker_reports_no_commit_into_a_file_that_is_gone(tmp_path: Path, queue: Queue) -> None:
    """The file may go between the look at it and the commit."""
    path = tmp_path / "broker.sqlite3"
    with broker.connect(f"embedded:///{path}") as connection:
        queue(connection.default_channel).declare()
        database = connection.connection.durable.file
        with pytest.raises(BrokerUnavailable, match="the file was deleted or replaced"), database.write():
            backup(path).replace(path)
