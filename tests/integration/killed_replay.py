"""Runs jobs, each in a fork of this process, and kills it (kill -9) at one of the four places of its second step.

Each line of stdin is an order: the ledger, the broker, the job, its hash, and the place; each line of stdout says how
the run ended.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from kombu.transport import pyamqp
from replay_desk import BUDGETS, MAC, MAX_AGES, OLGA, SECRET
from sqlalchemy.dialects.postgresql import psycopg

from worker import broker
from worker.broker.publisher import Publisher
from worker.ledger import Ledger
from worker.operations import jobs
from worker.operations.jobs import JobStart
from worker.operations.replay import ReplayControls, ReplaySettings

PRELOADED = (pyamqp, psycopg)
# Before the claim; between claim and publish; between the broker's confirm and the mark; after the mark.
PLACES: Final = {
    "unclaimed": (Ledger, "claim_step", False),
    "claimed": (Ledger, "claim_step", True),
    "published": (Publisher, "publish", True),
    "marked": (Ledger, "mark_step", True),
}


def deadly(function: Callable[..., Any], *, is_after: bool) -> Callable[..., Any]:
    """Return *function*, which the second time it is called kills the process before it begins, or when it is done."""
    calls: list[None] = []

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        if len(calls) == 2 and not is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


def run(order: dict[str, str]) -> None:
    """Run the job in this forked process, and end it."""
    owner, name, is_after = PLACES[order["place"]]
    setattr(owner, name, deadly(getattr(owner, name), is_after=is_after))
    ledger, start = Ledger.open(order["ledger"]), JobStart(order["job"], order["hash"], OLGA)
    with Publisher(partial(broker.connect, order["broker"])) as publisher:
        jobs.run(ReplaySettings(BUDGETS, MAX_AGES, MAC, SECRET), ledger, publisher, start, ReplayControls())
    os._exit(0)


if __name__ == "__main__":
    assert PRELOADED
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            run(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
