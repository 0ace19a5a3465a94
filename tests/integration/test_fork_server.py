"""What is forked from a process that has imported the worker is what a start of its own would have made."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from servers import Daemon, ForkServer, Processes, wait_until
from servers.daemon import is_alive
from servers.processes import environment

TESTS = str(Path(__file__).parents[1])
# What sentry-sdk puts in the place of Celery's tracer reaches nobody who has bound that one by name before.
STATE = """
import sys, threading
from importlib import import_module
from servers.fork_server import PRELOADED
for name in PRELOADED:
    import_module(name)
bound = [name for name, module in sys.modules.items() if hasattr(module, "build_tracer")]
print(bound, threading.active_count())
"""
KILLED_RUN = """
import os, pathlib, signal, sys, time
from servers import ForkServer, Processes
from servers.processes import environment
sandbox = Processes(pathlib.Path(sys.argv[1]), ForkServer(environment())).start("revoker", "sandbox", "--port", "0")
while not sandbox.output:
    time.sleep(0.02)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def sandbox(processes: Processes) -> Daemon:
    """A forked process that serves."""
    process = processes.start("revoker", "sandbox", "--port", "0", env={"TZ": "Asia/Tokyo"}, name="sandbox")
    wait_until(lambda: "http://" in process.output, 20, "the sandbox to serve")
    return process


def test_a_forked_process_has_a_session_a_folder_and_an_output_of_its_own(sandbox: Daemon) -> None:
    """And nothing open but these, least of all the line to the server."""
    assert os.getsid(sandbox.pid) == os.getpgid(sandbox.pid) == sandbox.pid
    assert Path(f"/proc/{sandbox.pid}/cwd").readlink() == sandbox.log.parent
    opened = [Path(f"/proc/{sandbox.pid}/fd/{number}").readlink() for number in range(4)]
    assert opened[:3] == [Path("/dev/null"), sandbox.log, sandbox.log]
    assert not str(opened[3]).startswith("socket:")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_does_what_it_does_to_any_process(sandbox: Daemon, number: signal.Signals) -> None:
    """In order where the program heeds it, else the exit code is the signal."""
    assert sandbox.stop(number) == (-number if number == signal.SIGKILL else 0)


def test_a_command_says_and_returns_what_it_always_does(fork_server: ForkServer, tmp_path: Path) -> None:
    """Of a command that succeeds, one that fails, and one that is used wrongly: both streams and the exit code."""
    commands = (("keys", "export"), ("keys", "generate", "--kid", "k"), ("plan", "missing.json"), ("--help",))
    env = {"REVOKER_KEYS_DIR": str(tmp_path / "keys")}
    told = {}
    for server in (fork_server, None):
        home = tmp_path / str(server)
        home.mkdir()
        running = Processes(home, server)
        told[server] = [
            (done.returncode, done.stdout, done.stderr)
            for done in (running.run("revoker", *command, env=env) for command in commands)
        ]
    assert told[fork_server] == told[None]
    assert {code for code, *_ in told[None]} >= {0, 2}


def test_what_only_a_new_interpreter_would_heed_is_started(fork_server: ForkServer) -> None:
    """Variables of Python and of the loader, and every other program."""
    revoker = ["/anywhere/revoker", "intake"]
    assert fork_server.can_fork(revoker, {**environment(), "PYTHONPATH": TESTS, "REVOKER_LOG_LEVEL": "DEBUG"})
    for variable in ("PYTHONHASHSEED", "PYTHONWARNINGS", "LD_PRELOAD", "MALLOC_ARENA_MAX"):
        assert not fork_server.can_fork(revoker, {variable: "1"})
    assert not fork_server.can_fork(["nohup", *revoker], {})
    assert not fork_server.can_fork([sys.executable, "-c", "pass"], {})


def test_nothing_is_forked_that_a_setting_would_have_changed() -> None:
    """No thread runs, and nobody has bound the tracer that sentry-sdk is to replace."""
    done = subprocess.run(
        [sys.executable, "-c", STATE], env={"PYTHONPATH": TESTS}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "['celery.app.trace'] 1\n"


def test_a_forked_process_dies_with_the_test_run(tmp_path: Path) -> None:
    """Even when the run itself was killed and could clean nothing up."""
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": TESTS}
    run = subprocess.run([sys.executable, "-c", KILLED_RUN, tmp_path], env=variables, check=False)
    assert run.returncode == -signal.SIGKILL
    orphan = int((tmp_path / "0-revoker.pid").read_text().split()[0])
    wait_until(lambda: not is_alive(orphan), what="the orphan to end")
