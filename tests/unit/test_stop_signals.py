"""Signals to stop wait for the end of what they interrupt, and for nothing else."""

import select
import signal
from collections.abc import Iterator

import pytest
from celery import platforms
from celery.exceptions import WorkerTerminate
from servers import wait_until

from worker.engine import stop_signals
from worker.engine.stop_signals import StopSignals


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """The signals that were handled, by handlers such as Celery sets up."""
    before, setting_up = (
        {number: signal.getsignal(number) for number in (*stop_signals.STOPS, signal.SIGALRM)},
        platforms.signals,
    )
    numbers: list[int] = []
    for number in stop_signals.STOPS:
        signal.signal(number, lambda number, _: numbers.append(number))
    yield numbers
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.set_wakeup_fd(-1)
    platforms.signals = setting_up
    for number, handler in before.items():
        signal.signal(number, handler)


def nothing() -> None:
    """At the last."""


def readable(signals: StopSignals) -> bool:
    """Whether a loop would be woken."""
    return bool(select.select([signals.descriptor], [], [], 0)[0])


@pytest.mark.parametrize("number", stop_signals.STOPS)
def test_a_signal_wakes_the_loop_and_waits_for_it(number: signal.Signals, heard: list[int]) -> None:
    """It is handled once, when the loop says so."""
    signals = StopSignals(lambda: True, nothing)
    signals.adopt()
    signal.raise_signal(number)
    assert (heard, readable(signals)) == ([], True)
    signals.run()
    assert (heard, readable(signals)) == ([number], False)
    signals.run()
    assert heard == [number]


def test_signals_are_handled_in_their_order(heard: list[int]) -> None:
    """A warm stop, and then a hurried one."""
    signals = StopSignals(lambda: True, nothing)
    signals.adopt()
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGQUIT)
    signals.run()
    assert heard == [signal.SIGTERM, signal.SIGQUIT]


def test_when_nobody_is_busy_a_signal_is_handled_at_once(heard: list[int]) -> None:
    """While the worker starts, and at its end."""
    StopSignals(lambda: False, nothing).adopt()
    signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_a_signal_does_not_wait_for_ever(heard: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is busy may be stuck, with a broker that is silent."""
    monkeypatch.setattr(stop_signals, "HANDLER_TIMEOUT", 0.1)
    StopSignals(lambda: True, nothing).adopt()
    signal.raise_signal(signal.SIGQUIT)
    assert heard == []
    wait_until(lambda: heard == [signal.SIGQUIT], 5)


def test_a_signal_that_breaks_off_the_stop_leaves_nothing_running(heard: list[int]) -> None:
    """Celery's third handler raises wherever the worker is: what that was about to end has to end all the same."""

    def hard(_number: int, _frame: object) -> None:
        raise WorkerTerminate(1)

    signal.signal(signal.SIGQUIT, hard)
    StopSignals(lambda: False, lambda: heard.append(0)).adopt()
    with pytest.raises(WorkerTerminate):
        signal.raise_signal(signal.SIGQUIT)
    assert heard == [0]


@pytest.mark.parametrize("listening", [True, False])
def test_no_handler_runs_amid_another(listening: bool, heard: list[int]) -> None:  # noqa: FBT001
    """Celery's for a cold stop sets up the next one, which is harsher; a signal meanwhile is for that, afterwards."""
    signals = StopSignals(lambda: listening, nothing)

    def first(number: int, _: object) -> None:
        platforms.signals["SIGQUIT"] = lambda number, _: heard.append(-number)
        signal.raise_signal(number)
        heard.append(number)

    signal.signal(signal.SIGQUIT, first)
    signals.adopt()
    signal.raise_signal(signal.SIGQUIT)
    if listening:
        signals.run()
    assert heard == [signal.SIGQUIT, -signal.SIGQUIT]
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_handler_that_does_not_end_gives_way_to_the_next_signal(
    heard: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sends it wants an end of that."""
    monkeypatch.setattr(stop_signals, "HANDLER_TIMEOUT", 0.1)

    def stuck(_number: int, _frame: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        assert heard == []
        wait_until(lambda: heard == [signal.SIGTERM], 5)

    signal.signal(signal.SIGQUIT, stuck)
    StopSignals(lambda: True, nothing).adopt()
    signal.raise_signal(signal.SIGQUIT)
    wait_until(lambda: heard == [signal.SIGTERM], 5)
