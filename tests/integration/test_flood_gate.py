"""The gates of several intakes on one ledger: one limit, one alert, over restarts; and without a ledger."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from worker.database.thread import DatabaseThread
from worker.intake.flood import gate as gates
from worker.intake.flood import store
from worker.intake.flood.gate import FloodGate
from worker.intake.flood.window import Limits, Subject
from worker.ledger import Ledger

pytest_plugins = ["ledger_fixtures"]

DISABLED = "user.disabled"
SOURCE = "urn:hr"
LIMITS = Limits(span=600, of_source={DISABLED: 50}, of_all={DISABLED: 80}, reserve={DISABLED: 60})
Gate = Callable[[], FloodGate]


@pytest.fixture
def opened() -> Iterator[Callable[[str], Ledger]]:
    """Opens ledgers, and closes them at the end."""
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(closing(Ledger.open(url, 2.0)))


@pytest.fixture
def desk(ledger_url: str) -> Iterator[Callable[[], DatabaseThread]]:
    """Makes desks at which that ledger is asked."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(DatabaseThread(ledger_url)))


@pytest.fixture
def gate(desk: Callable[[], DatabaseThread]) -> Gate:
    """Makes the gate of one more intake."""
    return lambda: FloodGate(desk(), LIMITS)


def passed(intake: FloodGate, *numbers: int, source: str = SOURCE) -> int:
    """How many of these people's events the intake let through, in one batch."""
    return intake.held_back([[Subject(source, DISABLED, f"person-{number}")] for number in numbers]).count(False)


def alerts(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What was said of floods."""
    return [record for record in caplog.records if record.message == "guard.opened"]


@pytest.mark.usefixtures("ledger")
def test_two_intakes_share_one_limit_and_one_alert(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever takes which event: fifty pass, one alert at error level tells of the rest."""
    one, two = gate(), gate()
    assert [passed(one, *range(30)), passed(two, *range(30, 60)), passed(one, *range(60, 99))] == [30, 20, 0]
    assert passed(two, *range(40)) == 40, "who was let through by the other may come again"
    [alert] = alerts(caplog)
    assert (alert.levelno, alert.__dict__["source"], alert.__dict__["limit"]) == (logging.ERROR, SOURCE, 50)


@pytest.mark.usefixtures("ledger")
def test_intakes_that_count_at_once_let_no_more_through(gate: Gate) -> None:
    """Four of them, each with batches of its own, at the same time."""
    with ThreadPoolExecutor(4) as threads:
        rounds = [(gate(), range(start, start + 100, 5)) for start in range(0, 400, 100)]
        counts = threads.map(lambda one: sum(passed(one[0], n, n + 1, n + 2, n + 3, n + 4) for n in one[1]), rounds)
    assert sum(counts) == 50


@pytest.mark.usefixtures("ledger")
def test_a_restart_forgets_nothing(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    """Neither whom it let through nor that a flood is held; nobody is told twice."""
    assert passed(gate(), *range(60)) == 50
    assert passed(gate(), *range(100, 160), 1) == 1
    assert len(alerts(caplog)) == 1


def test_a_flood_of_one_source_leaves_the_others_their_share(gate: Gate, ledger: Ledger) -> None:
    """All together have a ceiling; an operator sees both floods and ends them, for every intake."""
    intake, other = gate(), gate()
    assert passed(intake, *range(60)) == 50
    assert passed(intake, *range(60, 100), source="urn:other") == 30
    floods = {(flood.source, flood.event_type) for flood in store.standing(ledger.database)}
    assert floods == {(SOURCE, DISABLED), ("", DISABLED)}
    assert passed(other, 200, source="urn:third") == 0
    with ledger.database.writing() as connection:
        store.end(connection, floods)
    assert store.standing(ledger.database) == []
    assert passed(other, 3) == 1
    assert passed(other, 201) == 0, "the window has not moved on: another flood"
    assert len(store.standing(ledger.database)) == 1


def test_what_is_over_is_cleared_away(ledger: Ledger, desk: Callable[[], DatabaseThread]) -> None:
    """The log is as long as the window, here a moment, and not as the installation's life."""
    intake = FloodGate(desk(), Limits(0.005, {DISABLED: 50}, {DISABLED: 80}, {}))
    for start in range(0, 300, 10):
        assert passed(intake, *range(start, start + 10)) == 10
        time.sleep(0.01)  # SQLite's clock tells milliseconds
    with ledger.database.writing() as connection:
        assert len(store.load(connection, 0).passed) <= 10


def test_without_a_ledger_an_intake_counts_by_itself(
    gate: Gate,
    ledger_url: str,
    opened: Callable[[str], Ledger],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A flood is held back, an urgent event passes; afterwards the others know all of it."""
    monkeypatch.setattr(gates, "RETRY_AFTER", 0.0)
    intake = gate()
    assert passed(intake, *range(60)) == 50
    assert passed(intake, 100, source="urn:other") == 1
    with_schema = opened(ledger_url)
    with_schema.upgrade()
    assert passed(gate(), *range(200, 230)) == 30, "the other intake cannot know yet"
    assert passed(intake, 101, source="urn:other") == 0
    assert [flood.source for flood in store.standing(with_schema.database)] == [SOURCE, ""], "oldest first"
    assert passed(gate(), 300) == 0
    said = [record.message for record in caplog.records if record.message.startswith("guard.")]
    assert said == ["guard.ledger_away", "guard.opened", "guard.opened", "guard.ledger_back"]


def takes_its_turn(ledger: Ledger, until: threading.Event) -> None:
    """Another intake's turn, which lasts until it is told to end."""
    with ledger.database.writing() as connection:
        store.load(connection, 0)
        until.wait()


def test_an_answer_that_comes_too_late_counts_nobody_twice(
    gate: Gate, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it; what it would have counted was counted here meanwhile, and is told with the next visit."""
    monkeypatch.setattr(gates, "RETRY_AFTER", 0.0)
    intake, over = gate(), threading.Event()
    assert passed(intake, *range(10)) == 10
    with ThreadPoolExecutor(1) as thread:
        blocking = thread.submit(takes_its_turn, ledger, over)
        monkeypatch.setattr(gates, "VISIT_TIMEOUT", 0.1)
        assert passed(intake, *range(10, 20)) == 10
        over.set()
        blocking.result(10)
    monkeypatch.setattr(gates, "VISIT_TIMEOUT", 5.0)
    assert passed(intake, *range(20, 99)) == 30
    assert passed(gate(), *range(50, 99)) == 0


def test_a_ledger_that_is_away_is_not_asked_for_every_batch(gate: Gate) -> None:
    """It may take seconds to say so, and somebody who was dismissed waits behind the question."""
    intake = gate()  # its ledger is not migrated
    passed(intake, 1)
    away = intake._visit_at
    assert passed(intake, 2) == 1
    assert intake._visit_at == away
