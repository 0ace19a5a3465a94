"""How the engine turns kombu's hub: whenever it has something to do, and without ever waiting in it."""

import asyncio
import time

import pytest
from kombu.asynchronous import Hub

from worker.engine.consumer import _Pulse

FEW = 5  # turns: a hub that is asked again and again would turn hundreds of times until its timer is due


@pytest.fixture
def _nobody_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What kombu does with a hub that watches nothing is forbidden."""

    def never(_seconds: float) -> None:
        raise AssertionError("the event loop stood still")

    turn: tuple[object, ...] = Hub.create_loop.__defaults__
    monkeypatch.setattr(Hub.create_loop, "__defaults__", tuple(never if each is time.sleep else each for each in turn))


async def turns() -> None:
    """Let the event loop go round a few times, which takes no time."""
    for _ in range(FEW):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("_nobody_sleeps")
async def test_a_hub_that_watches_nothing_does_not_stop_the_loop() -> None:
    """The embedded broker has no socket: each of its turns would hold up every call that is under way."""
    hub, rung = Hub(), asyncio.Event()
    hub.call_later(0.05, rung.set)
    beats = 0
    async with asyncio.timeout(5):
        with _Pulse(hub).beating() as pulse:
            while not rung.is_set():
                await pulse.beat()
                beats += 1
    hub.close()
    assert beats <= FEW


@pytest.mark.usefixtures("_nobody_sleeps")
async def test_a_hub_that_watches_nothing_turns_for_what_is_to_be_done_soon() -> None:
    """An acknowledgement does not wait for the next timer: the beat that waits for it ends at once."""
    hub, done = Hub(), asyncio.Event()
    hub.call_later(3600, print)
    with _Pulse(hub).beating() as pulse:
        waiting = asyncio.create_task(pulse.beat())
        await turns()
        assert not waiting.done()
        hub.call_soon(done.set)
        await turns()
        assert waiting.done()
        await pulse.beat()
        assert done.is_set()
    hub.close()
