"""The Procfile: what a process manager of that kind starts is the whole worker, and it stops in order."""

import os
import re
import sys
from pathlib import Path

import pytest
from servers import Processes
from system import System

from worker.observability.metrics import EVERY_PROCESS

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.executed


def test_the_procfile_runs_under_honcho(tmp_path: Path, processes: Processes) -> None:
    """An event becomes a settled call. Asked to stop, honcho waits for the processes themselves, not for a shell."""
    system = System(tmp_path / "system", f"embedded:///{tmp_path / 'broker.sqlite3'}", processes)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ("honcho", "--procfile", str(ROOT / "Procfile"), "--app-root", str(tmp_path), "start")
    honcho = processes.start(
        *command, env={**system.env, "PATH": path, "REVOKER_CONSOLE__PORT": "0", "REVOKER_DOOR__PORT": "0"}
    )
    try:
        system.wait_closed(system.publish([system.ended(system.session("finbourne", "sbx-one"))]), 40)
        honcho.stop(timeout=30)
    finally:
        system.close()
    stopped = set(re.findall(r"(\w+)\.1 stopped \(rc=(\S+)\)", honcho.output))
    assert {name for name, _ in stopped} == set(EVERY_PROCESS)
    assert {code for _, code in stopped} <= {"0", "-9"}, honcho.tail  # after five seconds honcho kills
