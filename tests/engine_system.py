"""A system whose worker knows a few tasks more, and what it told of them."""

import json
import uuid
from pathlib import Path
from typing import Any

from servers import Daemon, wait_until
from system import System

from worker.broker import topology
from worker.broker.publication import Message

HERE = Path(__file__).parent


class Probe:
    """Starts the probe's worker in *system*, sends it tasks, reads its trail."""

    def __init__(self, system: System, **variables: str) -> None:
        self.system = system
        self._trail = system.home / "trail"
        self._variables = variables

    def start(self, *options: str, ready: bool = True) -> Daemon:
        """Start the worker, with further options; wait until it consumes."""
        env = {**self.system.env, "TRAIL": str(self._trail), "PYTHONPATH": str(HERE / "acceptance"), **self._variables}
        argv = ("celery", "-A", "engine_probe", "worker", "--without-gossip", "--without-mingle", *options)
        worker = self.system.processes.start(*argv, env=env, name="probe")
        if ready:
            wait_until(lambda: " ready." in worker.output, 30, "the worker to be ready")
        return worker

    def send(self, name: str, *args: object, **headers: Any) -> str:
        """Send a task; returns its id."""
        [task_id] = self.send_many([(name, args)], **headers)
        return task_id

    def send_many(self, tasks: list[tuple[str, tuple[object, ...]]], **headers: Any) -> list[str]:
        """Send tasks; returns their ids."""
        made = [task(name, *args, **headers) for name, args in tasks]
        self.system.publish_all(made)
        return [str(message.headers["id"]) for message in made]

    def trail(self, what: str | None = None, task_id: str | None = None) -> list[dict[str, Any]]:
        """What was told so far: all, or of one kind, or of one task."""
        text = self._trail.read_text() if self._trail.exists() else ""
        lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return [
            line
            for line in lines
            if what in (None, line["what"])
            and (task_id is None or task_id in (line.get("id"), line.get("task_id"), line.get("request")))
        ]

    def wait_for(self, what: str, count: int = 1, task_id: str | None = None) -> list[dict[str, Any]]:
        """Wait until this was told so often."""
        wait_until(lambda: len(self.trail(what, task_id)) >= count, 30, f"{count} times {what}")
        return self.trail(what, task_id)


def task(name: str, *args: object, **headers: object) -> Message:
    """A message for the task *name*."""
    task_id = str(uuid.uuid4())
    known = {"lang": "py", "task": name, "id": task_id, "root_id": task_id, "retries": 0, "argsrepr": "(sealed)"}
    body = json.dumps([list(args), {}, {}]).encode()
    return Message(topology.CALLS.name, "door", body, headers={**known, **headers}, correlation_id=task_id)
