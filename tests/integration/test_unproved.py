"""What nobody proved: it has a budget on the desk, waits in the broker beyond it, and holds up nothing else."""

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from amqp.exceptions import AccessRefused
from kombu import Connection
from kombu.message import Message as Delivered
from ledger_figures import totals
from ledger_records import dead, entry, outcome, planned, refused
from malformed import Envelope, put
from prepared_ledgers import make_file
from servers import wait_until

from tasks.outcome import State
from worker import broker, recorder
from worker.broker import messages, topology
from worker.broker import unproved_queue as unproved
from worker.broker.provenance import ProvenanceMac
from worker.broker.publisher import Publisher
from worker.broker.unproved_queue import BATCH_SIZE, MEGABYTE, UnprovedQueue
from worker.ledger import Ledger, LedgerUnavailable
from worker.ledger.dead_letters import unproved as kept_unproved
from worker.process import Stop
from worker.recorder import Recorder
from worker.settings import Settings
from worker.settings.sections import StorageSettings

MAC = ProvenanceMac(b"subject-key-of-a-test-installation")
BODY = "QUJD" * 15_000


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    opened = Ledger.open(make_file(f"sqlite:///{tmp_path / 'ledger.sqlite3'}"))
    yield opened
    opened.close()


@pytest.fixture
def connection(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A broker of each kind whose queues are declared; the queue is looked at whenever it is asked for."""
    for pause in ("EMPTY_INTERVAL", "FULL_INTERVAL"):
        monkeypatch.setattr(unproved, pause, 1e-9)
    monkeypatch.setattr(unproved, "TAKE_TIMEOUT", 60.0)
    with broker.connect(broker_url) as opened:
        topology.declare(opened, ["genesys"])
        yield opened


def publish(url: str, count: int, **changed: Any) -> list[str]:
    """Have so many letters wait that nobody proved; their ids."""
    letters = [refused(f"e{number}", body=BODY, unproved=True, **changed) for number in range(count)]
    with Publisher(lambda: broker.connect(url)) as publisher:
        publisher.publish_all([messages.dead_letter(letter) for letter in letters])
    return [letter.dead_letter_id for letter in letters]


def waiting(connection: Connection, queue: Any = topology.UNPROVED_QUEUE) -> int:
    """How many messages wait in *queue*."""
    return int(queue(connection.channel()).queue_declare(passive=True).message_count)


def taking(ledger: Ledger, **limits: int) -> UnprovedQueue:
    """What takes them to *ledger*, within *limits*."""
    return UnprovedQueue(ledger, Recorder(ledger, MAC).handle, StorageSettings(**limits))


def test_what_nobody_proved_waits_once_its_budget_is_spent(
    ledger: Ledger, connection: Connection, broker_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Told once as an alert, and none is lost: what an operator replays or discards makes room for the next."""
    caplog.set_level(logging.WARNING)
    publish(broker_url, 7)
    take = taking(ledger, unproved_letters=4)
    for _ in range(3):
        take.take(connection)
    assert (kept_unproved(ledger.database).letters, waiting(connection)) == (4, 3)
    assert [(line.levelname, line.message) for line in caplog.records] == [("ERROR", "desk.full_of_unproved")]
    ledger.discard([head.dead_letter_id for head in ledger.dead_letter_heads()], audit=entry("discard"))
    take.take(connection)
    assert (kept_unproved(ledger.database).letters, waiting(connection)) == (3, 0)
    assert caplog.records[-1].message == "desk.has_room_again"


def test_its_bytes_have_a_budget_as_well(ledger: Ledger, connection: Connection, broker_url: str) -> None:
    """Few letters may be large; the last step may go over it, and no other."""
    publish(broker_url, 3 * BATCH_SIZE)
    take = taking(ledger, unproved_megabytes=1)
    for _ in range(3):
        take.take(connection)
    known = kept_unproved(ledger.database)
    assert known.letters == BATCH_SIZE
    assert MEGABYTE <= known.size < MEGABYTE + BATCH_SIZE * len(BODY) * 2
    assert waiting(connection) == 2 * BATCH_SIZE


def test_a_budget_that_lasts_takes_everything_and_says_nothing(
    ledger: Ledger, connection: Connection, broker_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An honest source that nobody has listed yet is on the desk at once."""
    ids = publish(broker_url, BATCH_SIZE + 1)
    taking(ledger).take(connection)
    assert {head.dead_letter_id for head in ledger.dead_letter_heads()} == set(ids)
    assert not [line for line in caplog.records if line.name.startswith("worker")]


def test_only_what_nobody_proved_waits_there(connection: Connection, broker_url: str) -> None:
    """Proved letters, and what an operator has replayed, go the way they always went."""
    publish(broker_url, 1)
    publish(broker_url, 1, replays=1)
    with Publisher(lambda: broker.connect(broker_url)) as publisher:
        publisher.publish_all([messages.dead_letter(refused("e9")), messages.dead_letter(dead())])
    assert (waiting(connection), waiting(connection, topology.DEAD_QUEUE)) == (1, 3)


def test_what_cannot_be_written_goes_back(ledger: Ledger, connection: Connection, broker_url: str) -> None:
    """A ledger that fails between the question and the answer costs no letter."""
    publish(broker_url, 2)

    def unsafe(batch: Sequence[Delivered]) -> Sequence[Delivered]:
        return batch

    UnprovedQueue(ledger, unsafe, StorageSettings()).take(connection)
    taking(ledger).take(connection)
    assert (kept_unproved(ledger.database).letters, waiting(connection)) == (2, 0)


def test_a_ledger_that_is_away_takes_nothing(connection: Connection, broker_url: str, tmp_path: Path) -> None:
    """It is not asked for more than whether there is room."""
    publish(broker_url, 1)
    away = Ledger.open(f"sqlite:///{tmp_path / 'nowhere' / 'ledger.sqlite3'}")
    with pytest.raises(LedgerUnavailable):
        taking(away).take(connection)
    away.close()
    assert waiting(connection) == 1


@pytest.mark.parametrize("coding", ["utf-16", "no-such-coding", "idna"])
def test_a_message_in_a_coding_of_its_own_stops_nobody(
    ledger: Ledger, connection: Connection, broker_url: str, coding: str
) -> None:
    """Whoever may write there writes what they like: it is told of, and what is behind it is taken."""
    put(broker_url, topology.UNPROVED, "event", [Envelope(b"\xff\xfe{", {}, content_encoding=coding)])
    publish(broker_url, 1)
    taking(ledger).take(connection)
    assert sorted(head.kind for head in ledger.dead_letter_heads()) == ["event", "message"]
    assert waiting(connection) == 0


def test_a_missing_permission_is_said_once_and_stops_nothing_else(
    ledger: Ledger, connection: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After an upgrade, until the operator has granted it: the recorder's other queues are consumed all the same."""

    def refuse(*_: object, **__: object) -> None:
        raise AccessRefused("no read")

    channel = connection.channel()
    monkeypatch.setattr(type(channel), "basic_get", refuse)
    take = taking(ledger)
    for _ in range(3):
        take.take(connection)
    assert [line.message for line in caplog.records if line.levelname == "ERROR"] == ["desk.unproved_forbidden"]


def test_the_recorder_keeps_to_the_budget_and_forgets_what_is_old(ledger: Ledger, broker_url: str) -> None:
    """As the settings say, between two batches; what is proved is recorded meanwhile."""
    ledger.record([planned(), outcome(State.ACCEPTED)])  # of last May
    stop, url = Stop(), ledger.database.engine.url.render_as_string()
    storage = StorageSettings(unproved_letters=2, events_days=1, letters_days=1)
    settings = Settings(subject_key="k" * 32, broker_url=broker_url, ledger_url=url, storage=storage)
    thread = threading.Thread(target=recorder.run, args=(settings, stop))
    thread.start()
    try:
        wait_until(lambda: not totals(ledger).events, 20, "what is old to be forgotten")
        publish(broker_url, 5)
        wait_until(lambda: kept_unproved(ledger.database).letters == 2, 20, "the budget to be spent")
        with Publisher(lambda: broker.connect(broker_url)) as publisher:
            publisher.publish_all([messages.dead_letter(dead())])
        wait_until(lambda: sum(totals(ledger).dead_letters.values()) == 3, 20, "what is proved to be on the desk")
    finally:
        stop.set()
        thread.join(20)
    assert kept_unproved(ledger.database).letters == 2
