"""Log lines: one line of JSON each, whoever wrote it and whatever it holds."""

import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_lines import MARKER, Shy, line
from pydantic import ValidationError

from tasks.call import ProviderCall


def raised(error: BaseException) -> BaseException:
    """*error* with a traceback whose frame holds the marker."""
    marker = MARKER
    try:
        raise error
    except type(error) as caught:
        assert marker
        return caught


def test_a_line_says_what_happened_when_where_and_to_what() -> None:
    """The event's name, its members, level, logger and an aware time."""
    written = line("provider.held", provider="genesys", attempt=3)
    assert (written["event"], written["provider"], written["attempt"]) == ("provider.held", "genesys", 3)
    assert (written["level"], written["logger"]) == ("error", "worker.calls.runtime")
    assert datetime.fromisoformat(written["timestamp"]).tzinfo == UTC


ODD = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.builds(Shy))
DEEP = st.recursive(ODD, lambda each: st.lists(each) | st.dictionaries(st.text() | st.integers(), each), max_leaves=20)


@given(DEEP, st.text(), st.lists(ODD))
def test_no_value_makes_a_line_fail(value: object, message: str, args: list[object]) -> None:
    """Surrogates, NaN, endless integers, objects whose repr raises, arguments that do not fit: always JSON."""
    for name in ("worker.calls.runtime", "celery.worker"):
        assert line(message, *args, name=name, value=value)["event"] != "log.unrenderable"


@pytest.mark.parametrize(
    ("template", "args", "told"),
    [
        ("Received %r after %d tries in %.1f s", (MARKER, 3, 0.5), "Received '…' after 3 tries in 0.5 s"),
        ("Cannot connect: %s", (ConnectionRefusedError(MARKER),), "Cannot connect: ConnectionRefusedError"),
        ("Unknown message\nThe full contents: %s", (MARKER,), "Unknown message"),
        ("Task %(name)s raised", ({"name": MARKER, "args": MARKER},), "Task %(name)s raised"),
        (f"Exception in callback send('{MARKER}')", (), "Exception in callback send"),
        ("%d of %d", (MARKER,), "%d of %d"),
        (ValueError(MARKER), (), "ValueError"),
    ],
)
def test_of_a_library_arguments_are_told_as_far_as_they_cannot_be_secret(
    template: object, args: tuple[object, ...], told: str
) -> None:
    """Celery logs the bodies of messages it cannot use, asyncio the arguments of callbacks."""
    written = line(template, *args, name="celery.worker.consumer.consumer", data={"args": MARKER}, body=MARKER)
    assert written["event"] == told
    assert MARKER not in json.dumps(written)


def test_a_failing_task_is_named_as_far_as_its_name_is_one() -> None:
    """Name and id come with the message: only what has their form is told."""
    good = {"name": "genesys.delete_token", "id": str(uuid.uuid4()), "args": MARKER}
    written = line("Task raised", good, name="celery.app.trace", data=good)
    assert (written["task"], written["task_id"]) == (good["name"], good["id"])
    bad = line("Task raised", good, name="celery.app.trace", data={"name": f"{MARKER}!", "id": MARKER})
    assert MARKER not in json.dumps(bad)


def test_an_exception_is_told_by_types_and_places_never_by_its_text() -> None:
    """A KeyError's text is the key, a parser's what it could not parse; the cause is told as well."""
    error = raised(KeyError(MARKER))
    error.__cause__ = raised(ExceptionGroup(MARKER, [ValueError(MARKER)]))
    told = line("x", error=error)["exception"]
    kinds = [part for part in told.splitlines() if not part.startswith(" ")]
    assert kinds == ["KeyError", "ExceptionGroup", "ValueError"]
    assert f"{__file__}:" in told
    assert MARKER not in told


def test_a_refused_call_shows_no_input() -> None:
    """Neither in the log nor in the error's own text, wherever that may end."""
    with pytest.raises(ValidationError) as caught:
        ProviderCall.model_validate({"jwe": {"token": MARKER}, "subject": [MARKER]})
    assert MARKER not in str(caught.value)
    assert MARKER not in json.dumps(line("x", error=caught.value))


CRASHING = """
import logging, sys, threading, asyncio
from worker.observability import logs
logs.configure(sys.argv[2])
marker = sys.argv[1]
for name in ("amqp", "kombu", "aiohttp.client", "asyncio", "celery.app.trace", "celery.worker.consumer"):
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        logging.getLogger(name).log(level, "frame %r", marker)
logging.getLogger("tasks.sealing").debug("sealing.opened")
def fail(): raise KeyError(marker)
class Broken:
    def __del__(self): fail()
Broken()
thread = threading.Thread(target=fail)
thread.start()
thread.join()
async def never_awaited(): asyncio.get_running_loop().call_soon(int, marker); await asyncio.sleep(0)
asyncio.run(never_awaited())
fail()
"""


def crash(level: str) -> list[dict[str, Any]]:
    """What a process says that logs at *level* and fails in every way."""
    done = subprocess.run(
        [sys.executable, "-c", CRASHING, MARKER, level], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert MARKER not in done.stderr
    return [json.loads(each) for each in done.stderr.splitlines()]


def test_whatever_fails_unseen_is_a_line_too() -> None:
    """A crash of the process, of a thread, in a finaliser, in a callback: JSON, and no exception's text."""
    said = {each["event"]: each for each in crash("INFO")}
    assert {"process.crashed", "thread.crashed", "exception.ignored", "Exception in callback int"} <= said.keys()
    assert said["process.crashed"]["exception"].startswith("KeyError\n")


def test_libraries_do_not_chat_even_while_we_debug() -> None:
    """Our own debug lines are there; libraries speak from WARNING up, Celery from INFO up."""
    said = [(each["logger"].partition(".")[0], each["level"]) for each in crash("DEBUG")]
    assert ("tasks", "debug") in said
    assert {level for name, level in said if name in {"amqp", "kombu", "aiohttp"}} == {"warning"}
    assert {level for name, level in said if name == "celery"} == {"info", "warning"}
