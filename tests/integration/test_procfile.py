"""The Procfile: what a process manager of that kind starts is the whole worker, and it stops in order."""

import os
import sys
from pathlib import Path

import pytest
from servers import Processes
from system import PROCESSES, System

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.executed


def test_the_procfile_runs_under_honcho(tmp_path: Path, processes: Processes) -> None:
    """An event becomes a settled call; asked to stop, honcho ends, and each of the three has ended with 0 before."""
    system = System(tmp_path / "system", f"embedded:///{tmp_path / 'broker.sqlite3'}", processes)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ("honcho", "--procfile", str(ROOT / "Procfile"), "--app-root", str(tmp_path), "start")
    honcho = processes.start(*command, env={**system.env, "PATH": path})
    try:
        system.wait_closed(system.publish([system.ended(system.session("finbourne", "sbx-one"))]), 40)
        honcho.stop()
    finally:
        system.close()
    for name in PROCESSES:
        assert f"{name}.1 " in honcho.output
    assert honcho.output.count("stopped (rc=0)") == len(PROCESSES), honcho.tail
