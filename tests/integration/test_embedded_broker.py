"""What several processes may expect of the embedded broker, some of which are killed: real files, real processes."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from embedded_processes import CELERY_APP, CELERY_WORKER, CONSUMER, PUBLISHER, Process, until
from kombu import Connection, Exchange, Queue
from servers.embedded import QueueCounts, queue_counts

from worker.broker.embedded import register

WORK = Queue("work", Exchange("events", "topic"), routing_key="event.#")
EMPTY = QueueCounts(ready=0, unacked=0, delayed=0)
LEASE = 1.0  # seconds; short, so that the tests are


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a broker file with one queue bound, `work`."""
    register()
    url = f"embedded:///{tmp_path}/broker.sqlite3"
    with Connection(url) as connection:
        WORK(connection.default_channel).declare()
    return url


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start Python processes that are killed, whatever happens, when the test is over."""
    with ExitStack() as running:

        def start_one(*arguments: str, **environment: str) -> Process:
            process = Process(tmp_path / f"output-{time.monotonic_ns()}", arguments, environment)
            running.callback(process.kill)
            return process

        yield start_one


def publish(url: str, count: int) -> None:
    """Publish the numbers below *count*, in one transaction."""
    with Connection(url) as connection:
        producer = connection.Producer()
        with producer.channel.transaction():
            for number in range(count):
                producer.publish(number, exchange="events", routing_key="event.one", mandatory=True)


def counts(url: str, queue: str = "work") -> QueueCounts:
    """Return the counts of *queue*."""
    with Connection(url) as connection:
        return queue_counts(connection)[queue]


def receives(process: Process, expected: list[str]) -> bool:
    """Whether *process* printed exactly *expected* so far."""
    return process.lines() == expected


def bodies(*processes: Process) -> list[int]:
    """Return the numbers all *processes* received."""
    return sorted(int(line.split()[0]) for process in processes for line in process.lines())


def test_a_confirmed_publish_survives_kill_9(url: str, start: Callable[..., Process]) -> None:
    """Every publish that returned is in the queue, in a file the next process opens."""
    publisher = start("-c", PUBLISHER, url)
    until(lambda: len(publisher.lines()) > 100)
    publisher.kill()
    assert counts(url).ready >= len(publisher.lines())


def test_publishers_without_a_pause_lock_no_consumer_out(url: str, start: Callable[..., Process]) -> None:
    """The file is shared fairly: a consumer that comes later gets its turns while others write all the time."""
    publishers = [start("-c", PUBLISHER, url) for _ in range(2)]
    until(lambda: all(len(publisher.lines()) > 100 for publisher in publishers))
    consumer = start("-c", CONSUMER, url, "ack", "30")
    until(lambda: len(consumer.lines()) > 500)


def test_three_processes_share_a_queue_without_loss_or_double(url: str, start: Callable[..., Process]) -> None:
    """2 000 messages: each goes to exactly one consumer, while the publisher still publishes."""
    consumers = [start("-c", CONSUMER, url, "ack", "30") for _ in range(3)]
    for _ in range(4):
        publish(url, 500)
    until(lambda: counts(url) == EMPTY)
    assert Counter(bodies(*consumers)) == dict.fromkeys(range(500), 4)


def test_what_one_process_holds_no_other_gets(url: str, start: Callable[..., Process]) -> None:
    """A lease is renewed while its holder lives, far beyond its own length."""
    publish(url, 10)
    holder = start("-c", CONSUMER, url, "hold", str(LEASE))
    until(lambda: len(holder.lines()) == 10)
    other = start("-c", CONSUMER, url, "ack", str(LEASE))
    beyond = time.monotonic() + 3 * LEASE
    until(lambda: time.monotonic() > beyond)
    assert (counts(url).unacked, bodies(other)) == (10, [])


def test_what_a_killed_process_held_is_delivered_again(url: str, start: Callable[..., Process]) -> None:
    """After kill -9 another process gets the messages in their order, each counted as returned once."""
    publish(url, 10)
    holder = start("-c", CONSUMER, url, "hold", str(LEASE))
    until(lambda: len(holder.lines()) == 10)
    holder.kill()
    heir = start("-c", CONSUMER, url, "ack", str(LEASE))
    until(lambda: len(heir.lines()) == 10)
    assert heir.lines() == [f"{number} 1" for number in range(10)]


def test_a_message_that_kills_its_consumers_is_dead_lettered(url: str, start: Callable[..., Process]) -> None:
    """The delivery limit counts deaths: limit 1 means two victims."""
    with Connection(url) as connection:
        channel = connection.default_channel
        Queue("dead")(channel).declare()
        channel.queue_delete("work")
        arguments = {"x-delivery-limit": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
        Queue("work", WORK.exchange, WORK.routing_key, queue_arguments=arguments)(channel).declare()
    publish(url, 1)
    for expected in (["0 0"], ["0 1"]):
        victim = start("-c", CONSUMER, url, "hold", str(LEASE))
        until(partial(receives, victim, expected))
        victim.kill()
    start("-c", CONSUMER, url, "hold", str(LEASE))
    until(lambda: counts(url, "dead").ready == 1)
    assert counts(url) == EMPTY


@pytest.fixture
def celery(url: str, tmp_path: Path, start: Callable[..., Process]) -> Callable[..., Process]:
    """Start `python -m celery` on an application whose task `note` writes its argument to a file."""
    (tmp_path / "noting.py").write_text(CELERY_APP)

    def start_celery(*arguments: str) -> Process:
        return start("-m", "celery", "-A", "noting", *arguments, BROKER=url, NOTES=str(tmp_path / "notes"))

    return start_celery


def send_tasks(url: str, count: int) -> None:
    """Send `note(0)` to `note(count - 1)` as Celery does."""
    from celery import Celery  # noqa: PLC0415  # a second of import only these tests need

    with Celery(broker=url) as app:
        app.conf.task_default_queue = "celery-work"
        for number in range(count):
            app.send_task("note", (number,), queue="celery-work")


def test_a_celery_worker_killed_in_the_middle_loses_nothing(
    url: str, tmp_path: Path, celery: Callable[..., Process]
) -> None:
    """200 tasks with late acks: all executed, and repeated only what was in the killed worker's hands."""
    notes = tmp_path / "notes"
    notes.touch()
    send_tasks(url, 200)
    victim = celery(*CELERY_WORKER)
    until(lambda: len(notes.read_text().split()) >= 50)
    victim.kill()
    heir = celery(*CELERY_WORKER)
    until(lambda: counts(url, "celery-work") == EMPTY)
    assert heir.terminate() == 0
    done = Counter(map(int, notes.read_text().split()))
    assert set(done) == set(range(200))
    assert done.total() - 200 <= 128  # the prefetch: 4 x 32


def test_a_celery_worker_told_to_stop_finishes_what_it_runs(
    url: str, tmp_path: Path, celery: Callable[..., Process]
) -> None:
    """After a warm shutdown every task was done once or still waits: no duplicate, no loss."""
    notes = tmp_path / "notes"
    notes.touch()
    send_tasks(url, 200)
    worker = celery(*CELERY_WORKER)
    until(lambda: len(notes.read_text().split()) >= 20)
    assert worker.terminate() == 0
    done = Counter(map(int, notes.read_text().split()))
    assert set(done.values()) == {1}
    assert counts(url, "celery-work") == QueueCounts(ready=200 - len(done), unacked=0, delayed=0)
