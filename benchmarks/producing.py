"""A producer in a process of its own: `python -m benchmarks.producing <broker URL> <file>`.

The file holds messages that were made beforehand, and when to publish each. What it tells at its end: when each was
handed over, on the monotonic clock, and the CPU seconds that publishing took.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from servers import Daemon, wait_until

from benchmarks.stage import PYTHONPATH, Stage
from worker import broker
from worker.broker.publication import Message
from worker.broker.publisher import Publisher

Planned = tuple[float, Message]  # seconds after the start, and what is published then
_FIELDS: Final = ("exchange", "routing_key", "content_type", "headers")


@dataclass(frozen=True, slots=True)
class Produced:
    """What a producer told: when each message was handed over, and its own CPU seconds."""

    sent: Sequence[float]
    cpu: float


class Producer:
    """A producer at work on *planned*, which is in the order of time."""

    def __init__(self, stage: Stage, broker_url: str, planned: Sequence[Planned], name: str) -> None:
        self._count = len(planned)
        file = stage.home / f"{name}.json"
        file.write_text(json.dumps([[at, _document(message)] for at, message in planned]))
        command = ("python", "-m", "benchmarks.producing", broker_url, str(file))
        env = {"PYTHONPATH": PYTHONPATH}
        self.daemon: Daemon = stage.processes.start(*command, env=env, name=name)

    def result(self, seconds: float) -> Produced:
        """Wait for its end, *seconds* at most. Raises AssertionError."""
        wait_until(lambda: not self.daemon.running, seconds, "the producer to be done")
        told = json.loads(self.daemon.log.read_text())
        return Produced(told["sent"], told["cpu"])


def publish(publisher: Publisher, planned: Sequence[Planned]) -> list[float]:
    """Publish each when it is due, those that are due together; when each was handed over."""
    start, sent = time.monotonic(), list[float]()
    while len(sent) < len(planned):
        now = time.monotonic()
        due = [message for at, message in planned[len(sent) : len(sent) + 100] if at <= now - start]
        if due:
            sent += [now] * len(due)
            publisher.publish_all(due)
        else:
            time.sleep(max(0.0, start + planned[len(sent)][0] - now))
    return sent


def _document(message: Message) -> dict[str, Any]:
    return {**{name: getattr(message, name) for name in _FIELDS}, "body": message.body.decode()}


def _message(document: Mapping[str, Any]) -> Message:
    return Message(**{**document, "body": document["body"].encode()})


def main() -> None:
    """Publish what the file says, to whom the command line says."""
    url, file = sys.argv[1:]
    planned = [(at, _message(document)) for at, document in json.loads(Path(file).read_text())]
    with Publisher(lambda: broker.connect(url)) as publisher:
        publisher.publish_all([])
        before = time.process_time()
        sent = publish(publisher, planned)
        used = time.process_time() - before
    sys.stdout.write(json.dumps({"sent": sent, "cpu": used}))


if __name__ == "__main__":
    main()
