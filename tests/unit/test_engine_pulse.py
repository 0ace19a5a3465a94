"""How the engine turns kombu's hub: whenever it has something to do, and without ever waiting in it."""

import asyncio
import time

import pytest
from kombu.asynchronous import Hub

from worker.engine.consumer import _Pulse


@pytest.fixture
def _nobody_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What kombu does with a hub that watches nothing is forbidden."""

    def never(_seconds: float) -> None:
        raise AssertionError("the event loop stood still")

    turn: tuple[object, ...] = Hub.create_loop.__defaults__
    monkeypatch.setattr(Hub.create_loop, "__defaults__", tuple(never if each is time.sleep else each for each in turn))


@pytest.mark.usefixtures("_nobody_sleeps")
async def test_a_hub_that_watches_nothing_does_not_stop_the_loop() -> None:
    """The embedded broker has no socket: each of its turns would hold up every call that is under way."""
    hub, rung = Hub(), asyncio.Event()
    hub.call_later(0.05, rung.set)
    async with asyncio.timeout(10):
        with _Pulse(hub).beating() as pulse:
            while not rung.is_set():
                await pulse.beat()
    hub.close()


@pytest.mark.usefixtures("_nobody_sleeps")
async def test_a_hub_that_watches_nothing_turns_for_what_is_to_be_done_soon() -> None:
    """An acknowledgement does not wait for the next timer."""
    hub, done = Hub(), asyncio.Event()
    hub.call_later(3600, print)
    async with asyncio.timeout(10):
        with _Pulse(hub).beating() as pulse:
            asyncio.get_running_loop().call_later(0.05, hub.call_soon, done.set)
            while not done.is_set():
                await pulse.beat()
    hub.close()
