"""The bridge of the threads engine: a body runs on the loop while its thread waits."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from celery.exceptions import Reject

from worker.bridge import LoopThread


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    """A running loop."""
    thread = LoopThread()
    thread.start()
    yield thread
    thread.stop()


@pytest.fixture
def threads(loop: LoopThread) -> Iterator[ThreadPoolExecutor]:
    """Those of a pool, which may be late."""
    with ThreadPoolExecutor(2) as pool:
        yield pool
        loop.run(_cancel_others())


async def _cancel_others() -> None:
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


def test_a_call_that_begins_too_late_is_given_back(loop: LoopThread, threads: ThreadPoolExecutor) -> None:
    """A thread that had taken it from the pool, and not begun, would hold up the end of the worker."""
    loop.cancel_calls()
    with pytest.raises(Reject):
        threads.submit(loop.call, asyncio.sleep(3600)).result(10)


def test_a_call_that_is_under_way_is_given_back(loop: LoopThread, threads: ThreadPoolExecutor) -> None:
    """Its message goes back to its queue."""
    began = asyncio.Event()

    async def body() -> None:
        began.set()
        await asyncio.sleep(3600)

    running = threads.submit(loop.call, body())
    loop.run(_wait(began))
    loop.cancel_calls()
    with pytest.raises(Reject):
        running.result(10)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
