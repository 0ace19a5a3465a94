"""A system whose Wibmo calls are limited, with several workers, and the sandbox's journal as the judge."""

import os
import uuid
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from prepared_ledgers import prepare
from provider_calls import session_call
from servers import Daemon, wait_until
from system import System

from tasks.call import Lane
from worker.broker import messages

HERE = Path(__file__).parent
QUEUE = {lane: f"revocation.calls.wibmo.{lane}" for lane in Lane}


class Limited:
    """Starts workers of *system* that may make *calls* Wibmo calls in any *window* seconds."""

    def __init__(self, system: System, calls: int, window: float = 60, ledger_url: str | None = None) -> None:
        self.system, self.calls, self.window = system, calls, window
        self.ledger_url = ledger_url or system.document["ledger_url"]
        if ledger_url:
            prepare(ledger_url)

    def start(self, count: int) -> list[Daemon]:
        """Start workers; wait until they consume."""
        env: Mapping[str, str] = {
            **self.system.env,
            "REVOKER_LEDGER_URL": self.ledger_url,
            "REVOKER_PROVIDERS__WIBMO__RATE_LIMIT": str(self.calls),
            "LIMIT_WINDOW": str(self.window),
            "PYTHONPATH": os.pathsep.join([str(HERE / "acceptance")]),
        }
        argv = ("celery", "-A", "limits_probe", "worker")
        workers = [self.system.processes.start(*argv, env=env, name=f"worker-{n}") for n in range(count)]
        for worker in workers:
            wait_until(lambda each=worker: " ready." in each.output, 40, "a worker to be ready")  # type: ignore[misc]
        return workers

    def publish(self, count: int, lane: Lane = Lane.ROUTINE) -> None:
        """Put calls into the lane's queue."""
        made = [
            session_call(f"{lane}-{number}", "wibmo", lane=lane, token_reference_id=f"sbx-{uuid.uuid4()}")
            for number in range(count)
        ]
        self.system.publish_all([messages.call(call) for call in made])

    def arrivals(self) -> list[float]:
        """When the provider saw each call, by its own clock, in seconds."""
        return sorted(datetime.fromisoformat(entry["at"]).timestamp() for entry in self.system.journal())

    def worst(self) -> int:
        """The most calls that the provider saw in any window."""
        return most(self.arrivals(), self.window)


def most(times: Sequence[float], window: float) -> int:
    """The most of the sorted *times* that lie within any *window* seconds, its end not included."""
    return max((bisect_left(times, at + window) - i for i, at in enumerate(times)), default=0)
