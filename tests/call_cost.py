"""What a message costs our processes, in function calls: a measure that a busy machine does not blur.

`python -m call_cost` counts and prints; with `--record` it writes `call_cost.json`, which a test compares with its own
count. A process that is counted is started by this module too (`--process`): on the signal BEGIN its main thread begins
to count, on TELL it tells. The worker's provider answers on the worker's own event loop, so that what
happens in one turn of the loop does not depend on how busy the machine is.
"""

import argparse
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Final

from servers import Daemon, Processes, free_port, wait_until
from servers.embedded import queue_counts

from benchmarks.installation import Installation
from benchmarks.provider import Connection, Count
from worker import broker, process
from worker.broker import topology
from worker.broker.publication import Message, PublishError
from worker.broker.publisher import Publisher
from worker.ledger import Ledger

RECORDED: Final = Path(__file__).with_suffix(".json")
ROOT: Final = Path(__file__).parents[1]
IN_FLIGHT: Final = 100
MESSAGES: Final = 500  # of each round; as many before the first open connections and have statements compiled
ROUNDS: Final = 3  # the cheapest one counts: what comes once in a while is in the others
SLOW: Final = 0.2  # seconds that the provider takes at first, so that every connection is opened
IDLE: Final = 0.3  # seconds after which a process that has nothing to do has written everything
TIMEOUT: Final = 100.0  # seconds for a process to start, or to be done
QUEUES: Final = {"intake": "revocation.intake", "worker": "revocation.calls", "recorder": "revocation.outcomes"}
BEGIN, TELL = signal.SIGRTMIN, signal.SIGRTMIN + 1  # Celery has a use of its own for SIGUSR1
_PACKAGE: Final = re.compile(r"site-packages/(\w+)|/(tasks|worker)/|/lib/python[\d.]+/(?!site-packages)(\w+)")

Costs = Mapping[str, float]  # function calls for each message, by the package that makes them


def count(name: str, home: Path, processes: Processes) -> Costs:
    """Have process *name* handle messages on an embedded broker in *home*, and count."""
    port, told = free_port(), home / "told.json"
    files = f"embedded:///{home}/broker.sqlite3", f"sqlite:///{home}/ledger.sqlite3"
    ours = Installation(home, files[0], f"http://127.0.0.1:{port}", files[1], IN_FLIGHT)
    parts = _prepared(ours, name)
    env = {**ours.env, "COUNTED_PORT": str(port), "COUNTED_TOLD": str(told), "PYTHONHASHSEED": "0"}
    env["PYTHONPATH"] = f"{ROOT}/tests:{ROOT}"
    daemon = processes.start("python", "-m", "call_cost", "--process", name, env=env, name=name)
    try:
        _handled(ours, name, next(parts), daemon)
        return min((_counted(ours, name, part, daemon, told) for part in parts), key=total)
    finally:
        daemon.kill9()


def _counted(ours: Installation, name: str, messages: Sequence[Message], daemon: Daemon, told: Path) -> Costs:
    os.kill(daemon.pid, BEGIN)
    _handled(ours, name, messages, daemon)
    os.kill(daemon.pid, TELL)
    wait_until(told.exists, TIMEOUT, "the count")
    counted = json.loads(told.read_text())
    told.unlink()
    return {package: n / MESSAGES for package, n in counted.items()}


def total(costs: Costs) -> float:
    """Function calls for a message."""
    return round(sum(costs.values()), 1)


def _prepared(ours: Installation, name: str) -> Iterator[Sequence[Message]]:
    """Parts of MESSAGES each: one to warm up, and those of the rounds."""
    ours.make()
    with closing(Ledger.open(ours.ledger_url)) as ledger:
        ledger.upgrade()
    with broker.connect(ours.broker_url) as connection:
        topology.declare(connection, ours.names)
    makers: Mapping[str, Callable[[int], list[Message]]] = {
        "intake": ours.disabled_events,
        "worker": ours.calls,
        "recorder": ours.outcomes,
    }
    messages = makers[name]((1 + ROUNDS) * MESSAGES)
    return (messages[start : start + MESSAGES] for start in range(0, len(messages), MESSAGES))


def _handled(ours: Installation, name: str, messages: Sequence[Message], daemon: Daemon) -> None:
    """Have *messages* handled that *daemon* finds all at once; wait until none is left."""
    wait_until(lambda: _are_published(ours, messages, daemon), TIMEOUT, "a moment when the broker is not locked")

    def is_empty() -> bool:
        with broker.connect(ours.broker_url) as connection:
            connection.connect()
            counts = queue_counts(connection).items()
            return not any(each.ready + each.unacked for queue, each in counts if queue.startswith(QUEUES[name]))

    wait_until(is_empty, TIMEOUT, f"the messages of the {name} to be handled")


def _are_published(ours: Installation, messages: Sequence[Message], daemon: Daemon) -> bool:
    """Whether *messages* could be published while *daemon* stands still: it may just hold the broker's lock."""
    time.sleep(IDLE)
    daemon.freeze()
    try:
        with Publisher(lambda: broker.connect(ours.broker_url)) as publisher:
            publisher.publish_all(messages)
    except PublishError:
        return False
    finally:
        daemon.thaw()
    return True


# -- in the process that is counted -------------------------------------------------------------------------------


class _Profile:
    """Counts the functions that the main thread calls, by the file that they are called in."""

    def __init__(self, told: Path, provider: Count) -> None:
        self._told, self._provider, self._calls = told, provider, Counter[str]()

    def start(self, *_: object) -> None:
        self._provider.latency = 0.0
        sys.setprofile(self._profile)

    def tell(self, *_: object) -> None:
        sys.setprofile(None)
        by_package = Counter[str]()
        for file, n in self._calls.items():
            by_package[_package(file)] += n
        part = self._told.with_suffix(".part")
        part.write_text(json.dumps(by_package))
        part.rename(self._told)
        self._calls.clear()

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if event in {"call", "c_call"}:
            self._calls[frame.f_code.co_filename] += 1


def _package(file: str) -> str:
    found = _PACKAGE.search(file)
    return next(filter(None, found.groups())) if found else "other"


def _run_process(name: str) -> None:
    provider = Count(latency=SLOW)
    profile = _Profile(Path(os.environ["COUNTED_TOLD"]), provider)
    signal.signal(BEGIN, profile.start)
    signal.signal(TELL, profile.tell)
    if name == "worker":
        _run_worker(provider)
    else:
        from worker import recorder  # noqa: PLC0415 - the worker does without it
        from worker.intake import intake  # noqa: PLC0415 - likewise

        process.run({"intake": intake, "recorder": recorder}[name].run, name)


def _run_worker(provider: Count) -> None:
    from worker.celery import app  # noqa: PLC0415 - it reads the settings
    from worker.cli.processes import celery_arguments  # noqa: PLC0415

    loop, port = app.runtime_host.loop, int(os.environ["COUNTED_PORT"])
    loop.run(loop.asyncio.create_server(lambda: Connection(provider), "127.0.0.1", port, backlog=4096))
    app.worker_main(celery_arguments()[1:])


def main() -> None:
    """Count every process; `--record`: for the test to compare with."""
    parser = argparse.ArgumentParser(prog="python -m call_cost", description=main.__doc__)
    parser.add_argument("--record", action="store_true", help=f"write {RECORDED.name}")
    parser.add_argument("--process", choices=QUEUES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.process:
        _run_process(options.process)
        return
    counted = {}
    for name in QUEUES:
        with tempfile.TemporaryDirectory() as home, closing(Processes(Path(home))) as processes:
            counted[name] = count(name, Path(home), processes)
        print(f"{name}: {total(counted[name]):.1f} function calls a message")
    if options.record:
        RECORDED.write_text(json.dumps(counted, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
