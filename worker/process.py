"""What every process does when it starts, when it is ready, and when it is asked to stop: here, and nowhere else."""

import asyncio
import gc
import resource
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from worker.observability import logs, metrics, monitoring, tracing
from worker.observability.levels import LevelsWatch
from worker.settings import Settings

# How a process of ours starts another one. -P: without it Python imports from the folder it is started in, whoever may
# write there.
PYTHON: Final = (sys.executable, "-P", "-m")

# By default the collector runs after every 700 new objects, in vain: what a call leaves behind is rarely in a circle.
# These took a fifth off the CPU of a call, and added nothing to the memory.
GC_THRESHOLDS: Final = (50_000, 20, 100)


class Stop(threading.Event):
    """Set when the process is to end; *hurried* when it shall end at once, and give back what it has not begun."""

    hurried = False


def run(main: Callable[[Settings, Stop], None], name: str) -> None:
    """Run *main* as the process *name* until a signal sets its Stop; SIGQUIT, or a second signal, hurries it.

    Raises SettingsError.
    """
    settings = start(name=name)
    watch, shown = LevelsWatch(settings).watching(), monitoring.shown(settings.monitoring, name)
    with stop_event(signal.SIGQUIT) as stop, watch, shown:
        main(settings, stop)


def start(
    load: Callable[[], Settings] | None = None, log_level: str | None = None, *, name: str | None = None
) -> Settings:
    """Begin a process with the settings in force, or those that *load* returns: no core file, logs, error reports.

    *log_level* wins over those of the settings; a process with a *name* makes traces. Raises SettingsError.
    """
    _forbid_core_files()
    settings = load() if load else Settings.load()
    logs.configure(log_level or settings.log_level, {} if log_level else settings.log_levels, settings.log_format)
    if settings.sentry_dsn is not None:
        from worker.observability import sentry  # noqa: PLC0415 - 100 ms, and Celery with it, that no other start needs

        sentry.configure(settings)
    metrics.allow("provider", settings.providers)
    metrics.allow("source", settings.sources)
    metrics.allow("door", settings.doors)
    if name:
        tracing.configure(settings, name)
    return settings


def start_without_settings() -> None:
    """Begin a process that reads no settings. Its logs show warnings and errors."""
    _forbid_core_files()
    logs.configure("WARNING", log_format="auto")


def mark_ready(**_: object) -> None:
    """Say that the process works from now on. What it has loaded stays, so the garbage collector skips it.

    A look at everything takes some 70 ms, in which the process does nothing else.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def stop_signals(*numbers: signal.Signals) -> tuple[signal.Signals, ...]:
    """Return *numbers* and SIGHUP, which a closed terminal or somebody's log rotation sends.

    In a process that was started to ignore SIGHUP, as nohup(1) does, it stays ignored. To be called before anything
    listens to SIGHUP.
    """
    return numbers if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*numbers, signal.SIGHUP)


@contextmanager
def stop_event(*hurrying: signal.Signals) -> Iterator[Stop]:
    """Until the end of the block SIGTERM, SIGINT and SIGHUP set a Stop, so that what is in hand is finished first.

    A second signal hurries it, as the *hurrying* ones do at once.
    """
    stop = Stop()

    def handle(number: int, _frame: FrameType | None) -> None:
        stop.hurried = stop.is_set() or number in hurrying
        stop.set()

    before = {each: signal.signal(each, handle) for each in stop_signals(signal.SIGTERM, signal.SIGINT, *hurrying)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def run_until_signal(work: Coroutine[object, object, None]) -> None:
    """Run *work* until it ends, or until SIGTERM, SIGINT or SIGHUP cancels it."""
    task = asyncio.ensure_future(work)
    for number in stop_signals(signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


def _forbid_core_files() -> None:
    """A core file would hold keys, and tokens while their calls are made; nor may a process that this one starts."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
