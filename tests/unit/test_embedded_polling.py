"""When a consumer of the embedded broker looks: told of what is new, and by itself where nobody tells."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from embedded_probe import opened, put
from kombu import Connection, Message, Queue
from kombu.asynchronous import Hub
from servers.embedded import queue_counts

from worker.broker.embedded.wakeup import Wakeup

NEVER = 3600.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the broker's file will be."""
    return tmp_path / "broker.sqlite3"


@pytest.fixture
def broker(path: Path) -> Iterator[Connection]:
    """Connect, with one declared queue, `work`."""
    with opened(path, Queue("work")) as connection:
        yield connection


@pytest.fixture
def _looks_only_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer at rest looks by itself once an hour."""
    monkeypatch.setattr("worker.broker.embedded.transport.REST_INTERVAL", NEVER)


@pytest.fixture(params=[OSError(24, "Too many open files"), RuntimeError("inotify support was not found")])
def _nobody_tells(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the system's inotify instances are in use, or its C library has none."""

    def none(*_: object) -> None:
        raise request.param

    monkeypatch.setattr("worker.broker.embedded.wakeup.Wakeup.__init__", none)


def consumed_by_draining(connection: Connection, during: Callable[[], None]) -> bytes:
    """Consume one message and acknowledge it; *during* runs beside the wait for it."""
    got: list[Message] = []
    with connection.Consumer([Queue("work")], on_message=got.append):
        return _first(got, during, lambda: connection.drain_events(timeout=10), lambda: None)


def consumed_on_a_hub(connection: Connection, during: Callable[[], None]) -> bytes:
    """The same on kombu's event loop, which must not turn while there is nothing to do."""
    got: list[Message] = []
    hub = Hub()
    connection.register_with_event_loop(hub)
    with connection.Consumer([Queue("work")], on_message=got.append):
        return _first(got, during, hub.run_once, hub.close)


def _first(got: list[Message], during: Callable[[], None], turn: Callable[[], None], end: Callable[[], None]) -> bytes:
    other = threading.Timer(0.2, during)
    other.start()
    deadline = time.monotonic() + 20
    while not got:
        assert time.monotonic() < deadline
        turn()
    other.join()
    got[0].ack()
    end()
    body: bytes = got[0].body
    return body


ways = pytest.mark.parametrize("consumed", [consumed_by_draining, consumed_on_a_hub])
Consumed = Callable[[Connection, Callable[[], None]], bytes]


@ways
@pytest.mark.usefixtures("_looks_only_when_told")
def test_a_consumer_at_rest_is_told_of_a_message(broker: Connection, path: Path, consumed: Consumed) -> None:
    """Whoever publishes wakes it, from any process."""
    with opened(path) as other:
        assert consumed(broker, lambda: put(other, 1)) == b"1"


@ways
@pytest.mark.usefixtures("_looks_only_when_told")
def test_a_consumer_at_rest_is_told_of_what_another_gives_back(
    broker: Connection, path: Path, consumed: Consumed
) -> None:
    """A worker that stops hands its calls over at once."""
    put(broker, 1)
    with opened(path) as other:
        assert other.default_channel.basic_get("work")
        assert consumed(broker, other.close) == b"1"


@ways
@pytest.mark.usefixtures("_nobody_tells")
def test_a_consumer_whom_nobody_can_tell_looks_by_itself(broker: Connection, path: Path, consumed: Consumed) -> None:
    """Without inotify it looks all the time."""
    with opened(path) as other:
        assert consumed(broker, lambda: put(other, 1)) == b"1"


@ways
def test_a_consumer_at_rest_looks_for_what_nobody_tells_of(broker: Connection, path: Path, consumed: Consumed) -> None:
    """A message whose delay is over has nobody to announce it."""
    with opened(path) as other:
        assert consumed(broker, lambda: put(other, 1, headers={"x-delay": 300})) == b"1"


@pytest.mark.usefixtures("_looks_only_when_told")
def test_who_has_a_message_in_hand_does_not_rest(broker: Connection, path: Path) -> None:
    """Its acknowledgement may come from another thread, and is stored soon."""
    got: list[Message] = []
    put(broker, 1)
    with broker.Consumer([Queue("work")], on_message=got.append), opened(path) as other:
        broker.drain_events(timeout=5)
        threading.Timer(0.1, got[0].ack).start()
        with pytest.raises(TimeoutError):
            broker.drain_events(timeout=0.6)
        assert held(other) == 0


def test_who_is_told_takes_in_all_of_it_at_once(path: Path) -> None:
    """A thousand publications are one reason to look."""
    path.touch()
    wakeup = Wakeup(path)
    for number in range(1000):
        path.touch()
        path.chmod(0o600 + number % 2)
    wakeup.wait(0)
    began = time.monotonic()
    wakeup.wait(0.05)
    assert time.monotonic() - began > 0.04
    wakeup.close()


def held(connection: Connection) -> int:
    """How many messages of `work` a consumer holds."""
    return queue_counts(connection)["work"].unacked
