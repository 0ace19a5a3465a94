"""Every process starts and stops in one place, so that what joins there (metrics, health) is in all of them."""

from __future__ import annotations

import ast
import asyncio
import gc
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from worker import process, recorder
from worker.cli import main
from worker.demo import run as demo
from worker.intake import intake
from worker.observability import logs, sentry, tracing
from worker.settings import Settings

ROOT = Path(__file__).parents[2]
# What belongs to the start or the stop of a process. Only the engine has signals of its own: it lets Celery's handlers
# run between the steps of its consumer.
OF_A_PROCESS = {"setrlimit", "freeze", "set_threshold", "configure", "add_signal_handler", "signal"}
ENGINE = ROOT / "worker/engine"
MODULES = {"resource", "gc", "logs", "sentry", "tracing", "signal"}


class Started(Exception):  # noqa: N818 - what is the case
    """The start is done: nothing else of the process is run."""


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps of the start, in their order; none of them is done to this process."""
    done: list[str] = []

    def load() -> Settings:
        done.append("settings")
        return Settings.model_construct(log_level="ERROR", sentry_dsn=SecretStr("https://key@sentry.test/1"))

    monkeypatch.setattr(process, "_forbid_core_files", lambda: done.append("no core files"))
    monkeypatch.setattr(Settings, "load", load)
    monkeypatch.setattr(logs, "configure", lambda level, *_, **__: done.append(f"logs {level}"))
    monkeypatch.setattr(sentry, "configure", lambda _: done.append("error reports"))
    monkeypatch.setattr(tracing, "configure", lambda _, name: done.append(f"traces of {name}"))
    return done


def stop_here(*_: object, **__: object) -> None:
    """Stands for all that follows the start."""
    raise Started


def run_command(*arguments: str) -> None:
    """Run a command of ours up to the end of its start."""
    result = CliRunner().invoke(main, arguments)
    assert isinstance(result.exception, Started), result.output


def test_the_start_reads_the_settings_where_a_crash_leaves_no_core_file(
    steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both of the processes that consume batches."""
    for name, module in (("intake", intake), ("recorder", recorder)):
        monkeypatch.setattr(module, "run", stop_here)
        run_command(name)
    each = ["no core files", "settings", "logs ERROR", "error reports"]
    assert steps == [*each, "traces of intake", *each, "traces of recorder"]


def test_the_worker_starts_likewise(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its entry is a module, which is run at its import."""
    monkeypatch.setattr("worker.app.create_app", stop_here)
    source = (ROOT / "worker/celery.py").read_text()
    with pytest.raises(Started):
        exec(compile(source, "celery.py", "exec"), {"__name__": "worker.celery"})  # noqa: S102 - our own module
    assert steps == ["no core files", "settings", "logs ERROR", "error reports", "traces of worker"]


def test_the_sandbox_starts_without_settings(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds tokens as well, and reads none of the worker's settings."""
    monkeypatch.setattr("worker.sandbox.SandboxConfig", stop_here)
    run_command("sandbox")
    assert steps == ["no core files", "logs WARNING"]


def test_the_run_starts_with_the_settings_that_it_writes(
    steps: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Beside its view only warnings are shown."""
    monkeypatch.setattr(demo, "prepare", lambda *_: Settings.load())
    monkeypatch.setattr(demo, "wait_for_services", stop_here)
    run_command("run", "--state-dir", str(tmp_path))
    assert steps == ["no core files", "settings", "logs WARNING", "error reports"]


def of_a_process(source: str) -> Iterator[str]:
    """Every call in *source* of what only the start and the stop of a process may do."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)) if name in OF_A_PROCESS:
                if module in MODULES:
                    yield name
            case ast.Call(func=ast.Attribute(attr="add_signal_handler")):
                yield "add_signal_handler"


def test_nothing_else_does_what_a_start_does() -> None:
    """Core files, the garbage collector, logs, error reports, signals."""
    found = {
        (str(file.relative_to(ROOT)), name)
        for file in (ROOT / "worker").rglob("*.py")
        for name in of_a_process(file.read_text())
        if file.stem not in {"process", "process_one"} and (name != "signal" or file.parent != ENGINE)
    }
    assert found == set()


@pytest.mark.parametrize(
    "source",
    ["resource.setrlimit(1, (0, 0))", "gc.freeze()", "logs.configure('INFO')", "signal.signal(1, f)",
     "loop().add_signal_handler(1, f)"],
)  # fmt: skip
def test_another_start_would_be_found(source: str) -> None:
    """The rule sees what it is for."""
    assert list(of_a_process(source))


def handled(number: signal.Signals) -> None:
    """Send *number* to this process; Python runs its handler before the next step."""
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_asks_to_stop_and_a_second_one_hurries(number: signal.Signals) -> None:
    """What is in hand is finished, unless somebody insists."""
    with process.stop_event() as stop:
        assert not stop.is_set()
        handled(number)
        assert (stop.is_set(), stop.hurried) == (True, False)
        handled(number)
        assert stop.hurried


def test_a_hurrying_signal_hurries_at_once_and_only_where_it_was_named() -> None:
    """SIGQUIT of the intake and the recorder; elsewhere it ends the process on the spot."""
    before = signal.getsignal(signal.SIGQUIT)
    with process.stop_event(signal.SIGQUIT) as stop:
        handled(signal.SIGQUIT)
        assert (stop.is_set(), stop.hurried) == (True, True)
    with process.stop_event():
        assert signal.getsignal(signal.SIGQUIT) is before


def test_the_handlers_from_before_are_back_at_the_end() -> None:
    """Whatever ends the block."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(each) for each in numbers]
    with pytest.raises(Started), process.stop_event():
        raise Started
    assert [signal.getsignal(each) for each in numbers] == before


def test_an_ignored_hangup_stays_ignored() -> None:
    """As nohup(1) has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with process.stop_event() as stop:
            handled(signal.SIGHUP)
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_a_signal_cancels_what_runs_on_a_loop() -> None:
    """The sandbox ends as if its work were done."""
    reached: list[str] = []

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            reached.append("cleaned up")

    await process.run_until_signal(work())
    assert reached == ["cleaned up"]


def test_a_process_that_is_ready_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was loaded stays; the collector looks seldom from then on."""
    done: list[Any] = []
    monkeypatch.setattr(gc, "freeze", lambda: done.append("frozen"))
    monkeypatch.setattr(gc, "set_threshold", lambda *given: done.append(given))
    process.mark_ready()
    assert done == ["frozen", process.GC_THRESHOLDS]


def test_no_core_file_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by this process nor by any that it starts: a limit of zero, which nobody below may raise."""
    limits: list[Any] = []
    monkeypatch.setattr(resource, "setrlimit", lambda *given: limits.append(given))
    process._forbid_core_files()
    assert limits == [(resource.RLIMIT_CORE, (0, 0))]
