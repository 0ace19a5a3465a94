"""Log lines for people, the ids on every line, and levels that change while a process runs."""

import asyncio
import io
import logging
import os
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from event_examples import ended
from hypothesis import given
from hypothesis import strategies as st
from log_lines import MARKER, Shy, human, line
from recording_runtime import call
from starting import faults, without_settings

from worker.observability import logs, sentry, work
from worker.observability.levels import LevelsWatch
from worker.observability.lines import HumanLines, JsonLines
from worker.settings import Settings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
OWN, SINGLE = "worker", "worker.calls.runtime"


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    """Levels and handlers of this process come back."""
    names = ["", "celery", "tasks", OWN, SINGLE, "worker.intake", *logs._CHATTY]
    levels, handlers = {name: logging.getLogger(name).level for name in names}, logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_a_line_for_people_says_the_same_in_words() -> None:
    """Time, level, event, members, and who says it."""
    written = human("provider.held", provider="genesys", seconds=1.5, reason=None, tried=["a", "b c"], text="two words")
    when, level, event = written.split(" ", 2)[1], *written.split()[2:4]
    assert (when.endswith("Z"), level, event) == (True, "ERROR", "provider.held")
    assert written.endswith(
        'provider=genesys seconds=1.5 reason=null tried=["a", "b c"] text="two words" (worker.calls.runtime)'
    )


def test_an_exception_for_people_has_a_line_for_each_place() -> None:
    """Indented, and without its text."""

    def fail() -> None:
        raise KeyError(MARKER)

    with pytest.raises(KeyError) as raised:
        fail()
    written = human("x", error=raised.value)
    first, kind, *places = written.splitlines()
    assert first.endswith(f" x ({SINGLE})")
    assert (kind, places[-1].startswith(f"      {__file__}:")) == ("    KeyError", True)
    assert MARKER not in written


ACTIVE = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
TEXTS = st.text() | st.sampled_from(["\x1b[2J", "\u202eevil", "a\nb", "\x9b31m", "\U000e0041", "\ud800"])
ODD = st.one_of(TEXTS, st.none(), st.integers(), st.floats(), st.binary(), st.builds(Shy))


@given(st.dictionaries(st.sampled_from(["reason", "subject", "detail"]), ODD | st.lists(TEXTS), max_size=3), TEXTS)
def test_nothing_in_a_line_acts_on_a_terminal(members: dict[str, Any], message: str) -> None:
    """Whatever a producer wrote into a name: one line, no escape, no change of direction."""
    written = human(message, **members)
    assert "log.unrenderable" not in written
    assert not [each for each in written if unicodedata.category(each) in ACTIVE]


def test_a_line_for_people_shows_no_secret() -> None:
    """It passes the same redaction."""
    written = human("x", token=MARKER, header=f"Bearer {MARKER}", nested={"client_secret": MARKER}, odd=Shy())
    assert MARKER not in written
    assert "•••" in written


def test_every_line_of_a_call_names_its_event_its_call_and_its_trace() -> None:
    """Ours and a library's, and the error report of an exception that nobody logged; those of other tasks do not."""

    async def working(what: object) -> list[Any]:
        work.begin(what)
        await asyncio.sleep(0)
        report = sentry.before_send({"exception": {"values": []}}, {})
        return [line("provider.held"), line("Cannot %s", "x", name="celery.worker"), report["extra"]]

    async def both() -> tuple[list[Any], list[Any]]:
        ours, others = await asyncio.gather(working(call(traceparent=PARENT)), working({"no": "call"}))
        return ours, others

    ours, others = asyncio.run(both())
    names = ("event_id", "call_id", "trace_id")
    assert [tuple(each[name] for name in names) for each in ours] == [("e-1", "c-1", TRACE)] * 3
    assert not any(name in each for each in others for name in names)


def test_every_line_of_an_event_names_it_and_its_trace() -> None:
    """Until the end of the block; a trace that was begun here wins over the producer's."""
    event = ended(lambda document: document.update(traceparent=PARENT))
    with work.WorkOn(event):
        assert work.members() == {"event_id": event.id, "trace_id": TRACE}
        with work.WorkOn(event, "1" * 32):
            assert line("x")["trace_id"] == "1" * 32
        assert line("x", event_id="own")["event_id"] == "own"
    assert work.members() == {}


def test_what_is_no_trace_context_is_no_trace_id() -> None:
    """A call is read from a message."""
    with work.WorkOn(None):
        work.begin(call(traceparent=f"{MARKER}\n" * 9))
        assert work.members() == {"event_id": "e-1", "call_id": "c-1"}


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize(
    ("log_format", "stderr", "lines"),
    [
        ("auto", Terminal, HumanLines),
        ("auto", io.StringIO, JsonLines),
        ("json", Terminal, JsonLines),
        ("human", io.StringIO, HumanLines),
    ],
)
def test_people_at_a_terminal_read_words_and_everybody_else_json(
    log_format: logs.Format, stderr: type[io.StringIO], lines: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the setting says otherwise."""
    for module, name in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(module, name, getattr(module, name))  # as it was, once the test is over
    monkeypatch.setattr("sys.stderr", stderr())
    logs.configure("INFO", {}, log_format)
    assert type(logging.getLogger().handlers[0].formatter) is lines


def write(file: Path, text: str) -> None:
    """Change *file*; its time moves on by more than a clock's tick."""
    file.write_text(text)
    os.utime(file, ns=(time.time_ns(), time.time_ns() + 10**7))


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The configuration file in force."""
    without_settings(monkeypatch, tmp_path)
    made = tmp_path / "revoker.toml"
    made.write_text("")
    monkeypatch.setenv("REVOKER_CONFIG_FILE", str(made))
    return made


@pytest.mark.usefixtures("_logging_as_before")
def test_levels_follow_the_file_while_the_process_runs(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that may be half written waits; one that is wrong changes nothing and is named once."""
    settings = Settings.load()
    logs.set_levels(settings.log_level, settings.log_levels)
    watch, single = LevelsWatch(settings), logging.getLogger(SINGLE)
    write(file, f'log_level = "WARNING"\n[log_levels]\n"{SINGLE}" = "DEBUG"\n')
    watch.look()
    assert single.getEffectiveLevel() == logging.INFO
    watch.look()
    assert (single.getEffectiveLevel(), logging.getLogger(OWN).level) == (logging.DEBUG, logging.WARNING)
    write(file, 'log_level = "LOUD"\n')
    for _ in range(4):
        watch.look()
    assert single.getEffectiveLevel() == logging.DEBUG
    write(file, "")
    for _ in range(4):
        watch.look()
    assert single.getEffectiveLevel() == logging.INFO
    told = [record.msg for record in caplog.records]
    assert told == ["log.levels_changed", "settings.refused", "log.levels_changed"]


@pytest.mark.usefixtures("_logging_as_before")
def test_a_library_keeps_quiet_whatever_our_levels_are(file: Path) -> None:
    """What exports traces would complain at each try."""
    assert file.exists()
    logs.set_levels("DEBUG", {"worker.intake": "ERROR"})
    levels = {name: logging.getLogger(name).getEffectiveLevel() for name in ("kombu", "celery", "opentelemetry.sdk")}
    assert levels == {"kombu": logging.WARNING, "celery": logging.INFO, "opentelemetry.sdk": logging.CRITICAL + 1}
    assert logging.getLogger("worker.intake.intake").getEffectiveLevel() == logging.ERROR


@pytest.mark.parametrize("name", ["celery", "worker.nothing", "worker.intake.", "worker/intake", ""])
def test_a_level_for_what_is_no_logger_of_ours_is_refused(file: Path, name: str) -> None:
    """A typo would change nothing, unnoticed; a library's debug lines show what it sends."""
    file.write_text(f'[log_levels]\n"{name}" = "DEBUG"\n')
    [fault] = faults()
    assert fault.startswith("log_levels")
    assert "must be `tasks`, `worker` or a module of theirs" in fault
