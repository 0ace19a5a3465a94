"""The worker's own application with a few tasks more, and a file that everything Celery says of tasks goes into.

Started as `celery -A engine_probe worker`: what is true of these tasks is true of ours.
"""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from celery import current_task, signals
from celery.exceptions import Ignore, Reject
from celery.worker import state

from tasks.outcome import State
from worker.celery import app
from worker.engine.task import AsyncTask

trail = Path(os.environ["TRAIL"]).open("a", buffering=1)  # noqa: SIM115 - open as long as the process lives


def tell(what: str, **members: object) -> None:
    """Write a line."""
    trail.write(json.dumps({"what": what, **members}, default=lambda value: type(value).__name__) + "\n")


def _listen(name: str) -> None:
    def listener(sender: Any = None, task: Any = None, request: Any = None, **told: Any) -> None:
        who = getattr(task or sender, "name", "")
        told.pop("signal")
        if who.startswith("probe."):
            tell(name, by=who, request=getattr(request, "id", None), **told)

    getattr(signals, name).connect(listener, weak=False)


for each in ("prerun", "postrun", "success", "failure", "retry", "revoked", "internal_error"):
    _listen(f"task_{each}")


class Probing(type(app.tasks["session.ended"])):  # type: ignore[misc]
    """What a task of ours is on this engine, with any argument."""

    abstract = True
    argument_type = AsyncTask.argument_type


class Hooked(Probing):
    """A task with each of Celery's hooks."""

    abstract = True

    def before_start(self, *_: object) -> None:
        """Celery's hook."""
        tell("before_start", id=self.request.id)

    def on_success(self, *_: object) -> None:
        """Celery's hook."""
        tell("on_success", id=self.request.id)

    def on_failure(self, *_: object) -> None:
        """Celery's hook."""
        tell("on_failure", id=self.request.id)

    def after_return(self, *_: object) -> None:
        """Celery's hook."""
        tell("after_return", id=self.request.id)


ENDS = {"value": ValueError("fails"), "reject": Reject("no"), "ignore": Ignore()}


@app.task(name="probe.end", base=Hooked, bind=True)  # type: ignore[untyped-decorator] # celery has no types
async def end(_self: AsyncTask, how: str) -> State | None:
    """End as told."""
    await asyncio.sleep(0.01)
    if how.startswith("raise "):
        raise ValueError(how)
    if how in ENDS:
        raise ENDS[how]
    return State.RETRYING if how == "retry" else State.ACCEPTED


@app.task(name="probe.look", base=Probing, bind=True)  # type: ignore[untyped-decorator] # celery has no types
async def look(self: AsyncTask, number: int) -> None:
    """See whose request this is, before others run and after, also in a task of asyncio's own."""

    async def inner() -> str:
        return str(self.request.id)

    before = self.request.id
    await asyncio.sleep(0.2)
    seen = {before, self.request.id, current_task.request.id, await asyncio.create_task(inner())}
    tell("look", number=number, id=self.request.id, seen=sorted(seen), args=self.request.args)


async def wait(self: AsyncTask, seconds: float) -> None:
    """Wait, the first time it is delivered; when it comes again it ends at once."""
    again = self.request.delivery_info["redelivered"]
    tell("began", id=self.request.id, again=again)
    try:
        await asyncio.sleep(0 if again else seconds)
    except asyncio.CancelledError:
        tell("cancelled", id=self.request.id)
        raise
    tell("ended", id=self.request.id, again=again)


for name, limits in {"wait": {}, "wait_soft": {"soft_time_limit": 0.3}, "wait_hard": {"time_limit": 0.3}}.items():
    app.task(wait, name=f"probe.{name}", base=Probing, bind=True, **limits)


@app.task(name="probe.block", base=Probing)  # type: ignore[untyped-decorator] # celery has no types
async def block(seconds: float) -> None:
    """Do what no task may: keep the event loop from going on."""
    tell("blocks")
    time.sleep(seconds)  # noqa: ASYNC251 - the fault itself


@app.task(name="probe.quit", base=Probing, bind=True)  # type: ignore[untyped-decorator] # celery has no types
async def quit_amid(self: AsyncTask, moment: str) -> None:
    """Let a SIGQUIT arrive in the middle of the next frame on the consumer's connection.

    Which is one that is written, or one that answers `basic.cancel` (class 60, method 30), which a warm stop asks.
    """
    [request] = [each for each in state.active_requests if each.id == self.request.id]
    transport = request.message.channel.connection.transport
    read, write = transport._read, transport._write

    signals = [signal.SIGQUIT]  # one: who gathers frames puts back what it found, which is the trap

    def interrupted_read(*args: object) -> object:
        transport._read = read
        if signals:
            signal.raise_signal(signals.pop())
        return read(*args)

    def interrupted_write(data: bytes) -> None:
        write(data)
        if moment == "written" and signals:
            transport._write = write
            signal.raise_signal(signals.pop())
        elif bytes(data[7:11]) == b"\x00\x3c\x00\x1e":
            transport._write, transport._read = write, interrupted_read

    transport._write = interrupted_write


@app.task(name="probe.quit_thrice", base=Probing)  # type: ignore[untyped-decorator] # celery has no types
async def quit_thrice(_: str) -> None:
    """Let a second and a third SIGQUIT arrive while the handler of the first is cancelling the calls."""
    loop: Any = asyncio.get_running_loop()
    call_soon, left = loop.call_soon, [signal.SIGQUIT] * 3

    def interrupted(*args: Any, **options: Any) -> asyncio.Handle:
        if left and any(task.cancelling() for task in asyncio.all_tasks()):
            signal.raise_signal(left.pop())
        return call_soon(*args, **options)  # type: ignore[no-any-return]

    loop.call_soon = interrupted  # which a call that is cancelled calls
    signal.raise_signal(left.pop())
