"""Runs the session-timeout job again and again, each time in a fork of this process, and kills it where it is told.

The argument is the job's settings file. Each line of stdin is an order; each line of stdout says how a run ended and
which statements it reached, as [[[file, line], nth time], ...]. A run is killed (kill -9) at `statement`, when that is
reached for the nth time, or after `seconds`, wherever it is then.
"""

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from kombu.transport import pyamqp
from session_timeout_job import __main__ as job
from sqlalchemy.dialects.postgresql import psycopg

PRELOADED = (pyamqp, psycopg)
FOLDER = str(Path(job.__file__).parent)
Statement = list[Any]  # [[file, line], nth time]


def tracer(reached: list[Statement], kill_at: Statement | None) -> Callable[..., Any]:
    """Return a trace function that notes each statement of the job, and kills the process at *kill_at*."""
    visits = Counter[tuple[str, int]]()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.startswith(FOLDER):
            return None
        if event == "line":
            place = (Path(frame.f_code.co_filename).name, frame.f_lineno)
            visits[place] += 1
            reached.append([list(place), visits[place]])
            if reached[-1] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def run(file: str, order: dict[str, Any], report: int) -> None:
    """Run the job in this forked process, and end it."""
    reached: list[Statement] = []
    sys.stdout = sys.stderr
    if "seconds" not in order:
        sys.settrace(tracer(reached, order.get("statement")))
    code = job.main(file)
    sys.settrace(None)
    os.write(report, json.dumps(reached).encode())
    os._exit(code)


def killed(file: str, order: dict[str, Any]) -> dict[str, Any]:
    """Carry out *order*; return how it ended."""
    reading, writing = os.pipe()
    started = time.monotonic()
    if (child := os.fork()) == 0:
        run(file, order, writing)
    os.close(writing)
    if "seconds" in order:
        time.sleep(order["seconds"])
        os.kill(child, signal.SIGKILL)
    with open(reading, "rb") as report:  # noqa: PTH123 - the number of an open file is no path
        reached = report.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"code": code, "reached": json.loads(reached or b"[]"), "seconds": time.monotonic() - started}


if __name__ == "__main__":
    assert PRELOADED
    for line in sys.stdin:
        print(json.dumps(killed(sys.argv[1], json.loads(line))), flush=True)
