"""What surrounds a process: the folder it starts in, the variables of other programs, a terminal that closes."""

import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_installation import Installation
from servers import Daemon, Processes, wait_until

import worker
from worker.demo.supervisor import ProcessSpec, Supervisor

pytest_plugins = ["cli_fixtures"]
pytestmark = pytest.mark.executed

READY = {"intake": "consumer.ready", "recorder": "consumer.ready", "worker": " ready.", "sandbox": "Ctrl-C ends it."}
FOREIGN = ("worker", "tasks", "celery", "kombu", "json", "secrets", "logging", "pydantic", "billiard", "celeryconfig")
# What Celery's own command listens to: another application, another broker, other settings.
CELERYS = {
    "APP": "foreign",
    "BROKER_URL": "redis://broker.invalid",
    "CELERY_BROKER_URL": "redis://broker.invalid",
    "CELERY_CONFIG_MODULE": "foreign",
    "CONFIG_MODULE": "foreign",
    "LOADER": "foreign",
}


@pytest.fixture
def started_in(tmp_path: Path) -> Iterator[Processes]:
    """Processes that start in a folder full of modules that say so when somebody imports them."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    for name in FOREIGN:
        (folder / f"{name}.py").write_text(f"print('FOREIGN {name}', flush=True)")
    processes = Processes(folder)
    yield processes
    processes.close()


def start(installation: Installation, processes: Processes, name: str, *around: str) -> Daemon:
    """The process *name*, once it is ready."""
    names = ("broker_url", "ledger_url", "keys_dir", "subject_key", "providers")
    env = {f"REVOKER_{each.upper()}": installation.setting(each) for each in names}
    installation.run("ledger", "upgrade")
    installation.run("keys", "generate", "--if-none")
    arguments = ("sandbox", "--port", "0") if name == "sandbox" else (name,)
    revoker = str(Path(sys.executable).with_name("revoker"))
    process = processes.start(*around, revoker, *arguments, env={**env, **CELERYS}, name=name)
    wait_until(lambda: READY[name] in process.output or not process.running, 30, f"{name} to be ready")
    assert process.running, process.tail
    return process


@pytest.mark.parametrize("name", READY)
def test_a_hangup_is_a_stop_in_order(installation: Installation, started_in: Processes, name: str) -> None:
    """It ends with 0; nothing was imported from the folder it started in, and no other program's variable was heard."""
    process = start(installation, started_in, name)
    assert process.stop(signal.SIGHUP) == 0
    assert not [word for word in ("FOREIGN", "Traceback", "redis") if word in process.output]


@pytest.mark.usefixtures("started_in")
def test_a_run_imports_nothing_from_its_folder_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes are started by an interpreter of their own each."""
    monkeypatch.chdir(tmp_path / "foreign")
    sandbox = ProcessSpec("sandbox", ("sandbox", "--port", "0"), lambda said: READY["sandbox"] in said)
    with (tmp_path / "lock").open("wb") as lock, Supervisor([sandbox], tmp_path, lock.fileno(), print) as supervisor:
        supervisor.start(threading.Event())
    assert "FOREIGN" not in (tmp_path / "sandbox.log").read_text()


def test_only_one_place_says_how_python_is_started() -> None:
    """So that no other process is started without the safe path."""
    root = Path(worker.__file__).parent
    named = [path.name for path in root.rglob("*.py") if "sys.executable" in path.read_text()]
    assert sorted(named) == ["process.py", "run.py"]  # run: where the script `revoker` lies


@pytest.mark.parametrize("name", READY)
def test_an_ignored_hangup_stays_ignored(installation: Installation, processes: Processes, name: str) -> None:
    """As nohup(1) starts it; SIGTERM is heard as ever."""
    process = start(installation, processes, name, "nohup")
    [ignored] = [line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "SigIgn" in line]
    assert int(ignored.split()[1], 16) & 1 << (signal.SIGHUP - 1)
    assert process.stop() == 0
