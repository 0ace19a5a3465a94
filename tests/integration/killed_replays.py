"""Who runs jobs of a desk in another process, which is killed where a test says."""

import json
import subprocess
import sys
from pathlib import Path

from replay_desk import Desk
from servers.processes import environment

from worker.ledger import Job


class Killed:
    """Jobs of *desk* in forks of one process, each killed where it is told."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        argv, pipe = [sys.executable, str(Path(__file__).with_name("killed_replay.py"))], subprocess.PIPE
        env = environment() | {"PYTHONPATH": ":".join(sys.path)}
        self.process = subprocess.Popen(argv, env=env, stdin=pipe, stdout=pipe, text=True)

    def run(self, job: Job, place: str) -> None:
        """Run *job*, killed at *place* of its second step."""
        orders, ends = self.process.stdin, self.process.stdout
        assert orders is not None
        assert ends is not None
        order = {"ledger": self._desk.ledger_url, "broker": self._desk.broker_url, "job": job.job_id, "hash": job.hash}
        orders.write(json.dumps(order | {"place": place}) + "\n")
        orders.flush()
        assert ends.readline() == "-9\n"
