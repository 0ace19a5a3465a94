"""Processes that use the embedded broker, to be killed or told to stop; and waiting for what they do."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).parents[2]

CONSUMER = """
import sys
from kombu import Connection, Queue
from worker.broker.embedded import register

def receive(message):
    print(message.body.decode(), message.headers.get("x-delivery-count", 0), flush=True)
    if sys.argv[2] == "ack":
        message.ack()

register()
with Connection(sys.argv[1], transport_options={"lease_seconds": float(sys.argv[3])}) as connection:
    with connection.Consumer([Queue("work", no_declare=True)], on_message=receive, prefetch_count=50):
        while True:
            connection.drain_events()
"""

PUBLISHER = """
import sys
from kombu import Connection
from worker.broker.embedded import register

register()
producer = Connection(sys.argv[1]).Producer()
for number in range(1_000_000):
    producer.publish(number, exchange="events", routing_key="event.one", mandatory=True)
    print(number, flush=True)
"""

CELERY_APP = """
import os, time
from celery import Celery
from worker.broker.embedded import register

register()
app = Celery(broker=os.environ["BROKER"])
app.conf.update(
    task_acks_late=True,
    task_default_queue="celery-work",
    task_ignore_result=True,
    broker_transport_options={"lease_seconds": 1.0},
    worker_enable_remote_control=False,
)

@app.task(name="note")
def note(number):
    time.sleep(0.02)
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"{number}\\n")
"""
CELERY_WORKER = ("worker", "-P", "threads", "-c", "32", "--without-gossip", "--without-mingle", "--without-heartbeat")


class Process:
    """A Python process in the project's folder, its output in a file."""

    def __init__(self, output: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self._output = output
        with output.open("wb") as sink:
            self._popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=PROJECT,
                stdout=sink,
                env={**os.environ, "PYTHONPATH": f"{PROJECT}:{output.parent}", **environment},
            )

    def lines(self) -> list[str]:
        """Return the whole lines printed so far."""
        return self._output.read_text().split("\n")[:-1]

    def kill(self) -> None:
        """Kill -9, and wait for the end."""
        self._popen.kill()
        self._popen.wait()

    def terminate(self) -> int:
        """Ask it to end, and return its exit code."""
        self._popen.send_signal(signal.SIGTERM)
        return self._popen.wait(timeout=30)


def until(condition: Callable[[], bool], seconds: float = 30) -> float:
    """Wait for *condition* and return how long that took; AssertionError after *seconds*."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, "the condition was not met in time"
        time.sleep(0.02)
    return time.monotonic() - begun
