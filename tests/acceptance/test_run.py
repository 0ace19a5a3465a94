"""`revoker run`, as a newcomer types it: real processes, real brokers, real signals."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from documents import blocks, section
from in_one_test import in_one_test
from servers import Daemon, Processes, free_port, wait_until
from servers.shared import locked, root

from tasks.outcome import State
from worker.demo.progress import Progress, unproved_claims
from worker.demo.samples import Expected, Sample, SampleEvent, load_samples
from worker.demo.supervisor import ProcessFailed, ProcessSpec, Supervisor
from worker.ledger import CallRow

pytestmark = pytest.mark.executed
ALL_OUTCOMES = {
    "accepted": 14,
    "already_revoked": 2,
    "confirmed": 5,
    "covered": 1,
    "dead": 4,
    "enabled": 4,
    "expired": 1,
    "no_session_known": 19,
}
ALL_REASONS = {
    "auth.forbidden": 1,
    "crypto.seal": 1,
    "event.invalid_time": 1,
    "event.plaintext_token": 1,
    "http.4xx.bad_request": 1,
    "provider.not_found": 1,
    "route.unknown_provider": 1,
    "route.unresolvable": 1,
}
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n"
STAYS = "Everything stays up until Ctrl-C"


def run_once(home: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `revoker run --once -o json` in *home*, its output apart from its messages."""
    argv = [str(Path(sys.executable).with_name("revoker")), "run", "--once", "-o", "json"]
    return subprocess.run(
        argv, cwd=home, env=environment(env), capture_output=True, text=True, timeout=100, check=False
    )


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """What any program needs, and *more*: nothing that the test runner was told."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | dict(more)


def figures(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON document of a run that ended well."""
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def is_left_alone(state: Path) -> bool:
    """Whether no process of a run lives any more: each of them holds the lock's file open."""
    with (state / "processes.lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def children(pid: int) -> dict[int, str]:
    """The processes that *pid* started, with their command lines."""
    pids = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return {each: Path(f"/proc/{each}/cmdline").read_text().replace("\0", " ") for each in pids}


def says(run: Daemon, text: str) -> None:
    """Wait until *run* has said *text*."""
    wait_until(lambda: text in run.output or not run.running, 60, f"the run to say: {text}")
    assert text in run.output


@pytest.fixture
def staying(processes: Processes, tmp_path: Path) -> Daemon:
    """Start a run that stays up, its state in *tmp_path*/var."""
    return processes.start("revoker", "run", "--state-dir", str(tmp_path / "var"))


@pytest.fixture
def home() -> Iterator[Path]:
    """Lend a folder where a first run has ended: one for all pytest workers, by turns."""
    folder = root() / "first-run"
    with locked(root() / "first-run.lock"):
        if not (folder / "first.json").exists():
            folder.mkdir()
            (folder / "first.json").write_text(json.dumps(figures(run_once(folder))))
        yield folder


def is_complete(told: dict[str, Any]) -> None:
    """Check the figures of a run: every sample, every outcome, every reason, nothing lost, nothing instant."""
    assert (told["events"], told["lost"]) == (len(load_samples()), 0)
    assert told["calls"] == ALL_OUTCOMES
    assert told["dead_letters"] == ALL_REASONS
    assert 0 < told["exposure_seconds"]["p50"] < told["exposure_seconds"]["p95"] <= told["exposure_seconds"]["p99"]


def test_a_run_settles_every_sample_and_loses_none(home: Path) -> None:
    """Without any server: every outcome comes up, and the providers' journal agrees (else: exit 1)."""
    is_complete(json.loads((home / "first.json").read_text()))


def test_the_same_samples_have_the_same_outcomes_on_servers(
    rabbitmq_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """Environment variables put RabbitMQ and PostgreSQL in the place of the files."""
    is_complete(figures(run_once(tmp_path, REVOKER_BROKER_URL=rabbitmq_url, REVOKER_LEDGER_URL=postgres_url)))
    assert not list((tmp_path / "var").glob("*.sqlite3"))


def test_a_second_run_in_the_same_place_counts_its_own_samples_only(home: Path) -> None:
    """What an earlier run left in broker, ledger and keys is kept, and confuses nobody."""
    is_complete(figures(run_once(home)))
    assert len(list((home / "var/keys").iterdir())) == 1


def test_the_state_directory_is_its_owners_alone(home: Path) -> None:
    """Configuration and keys hold secrets; a token that came in clear is in no file at all."""
    state = home / "var"
    assert state.stat().st_mode & 0o077 == 0
    assert (state / "revoker.toml").stat().st_mode & 0o077 == 0
    files = [file for file in state.rglob("*") if file.is_file()]
    assert not [file.name for file in files if b"FAKE-this-is-no-token" in file.read_bytes()]


@pytest.mark.parametrize(
    ("number", "moment"), [(signal.SIGINT, STAYS), (signal.SIGTERM, "retrying"), (signal.SIGINT, "starting sandbox")]
)
def test_a_staying_run_stops_within_ten_seconds(
    staying: Daemon, tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    """Ctrl-C and SIGTERM end it with exit 0, idle, at work or while it starts, and no process is left."""
    says(staying, moment)
    assert staying.stop(number, timeout=10) == 0, staying.tail
    assert is_left_alone(tmp_path / "var")
    assert "is killed" not in staying.output


def next_steps_work_in_another_terminal(staying: Daemon, tmp_path: Path) -> None:
    """Each command that a staying run names can be typed as it stands, and has something to tell."""
    says(staying, "dlq replay --dry-run")
    lines = [line.strip() for line in staying.output.splitlines() if f"={tmp_path / 'var/revoker.toml'} " in line]
    assert [line.split()[2] for line in lines] == ["explain", "dlq", "dlq"]
    for line in lines:
        shell = ["/bin/sh", "-c", line]
        typed = subprocess.run(shell, cwd=tmp_path, env=environment({}), capture_output=True, timeout=30, check=False)
        assert typed.returncode == ("explain" in line), typed.stderr.decode()  # he is not out yet
        assert typed.stdout


def first_event_of_the_readme_is_revoked(staying: Daemon, tmp_path: Path) -> None:
    """Its lines, typed as they stand beside a staying run, end with the person out everywhere."""
    says(staying, STAYS)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    [shell] = blocks("sh", section("A first event"))
    export, publish, explain = shell.splitlines()
    assert re.fullmatch(UUID, typed(f"{export}\n{publish}", tmp_path))
    verdict = blocks("text", section("A first event"))[0].splitlines()[-1]
    wait_until(lambda: verdict in typed(f"{export}\n{explain}", tmp_path), 20, verdict)


def typed(lines: str, folder: Path) -> str:
    """What shell *lines* print on stdout."""
    shell = ["/bin/sh", "-c", lines]
    return subprocess.run(
        shell, cwd=folder, env=environment({}), capture_output=True, text=True, timeout=30, check=False
    ).stdout


def second_run_beside_the_first_is_refused(staying: Daemon, tmp_path: Path) -> None:
    """Two runs would work on each other's events and sandboxes."""
    assert staying.running
    assert (done := run_once(tmp_path)).returncode == 2
    assert "another `revoker run` works there" in done.stderr


def process_that_dies_is_started_again(staying: Daemon, _tmp_path: Path) -> None:
    """The run says so, with the end of its log, and goes on."""
    says(staying, STAYS)
    recorder = next(pid for pid, line in children(staying.pid).items() if "recorder" in line)
    os.kill(recorder, signal.SIGKILL)
    says(staying, "recorder is started again")
    wait_until(lambda: any("recorder" in line for line in children(staying.pid).values()), 10, "another recorder")
    assert staying.stop(signal.SIGTERM, timeout=10) == 0, staying.tail


@in_one_test
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "rule",
    [
        next_steps_work_in_another_terminal,
        first_event_of_the_readme_is_revoked,
        second_run_beside_the_first_is_refused,
        process_that_dies_is_started_again,
    ],
    ids=lambda rule: str(rule.__name__),
)
def test_beside_one_run_that_stays(staying: Daemon, tmp_path: Path, rule: Callable[[Daemon, Path], None]) -> None:
    """Each of these holds, of the same run."""
    rule(staying, tmp_path)


def test_a_killed_run_leaves_nothing_behind_that_confuses_the_next(staying: Daemon, tmp_path: Path) -> None:
    """Its processes go with it, and what waits in the broker is done by the next run."""
    says(staying, "retrying")
    os.kill(staying.pid, signal.SIGKILL)
    wait_until(lambda: is_left_alone(tmp_path / "var"), 15, "the processes of the killed run to end")
    assert figures(run_once(tmp_path))["calls"] == ALL_OUTCOMES


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        ("REVOKER_BROKER_URL", "amqp://user:open-sesame@127.0.0.1:{port}//"),
        ("REVOKER_LEDGER_URL", "postgresql+psycopg://user:open-sesame@127.0.0.1:{port}/ledger"),
    ],
)
def test_a_server_that_is_not_there_ends_the_run_with_one_clear_line(tmp_path: Path, setting: str, url: str) -> None:
    """It is asked again for a while; then exit 69, without a stack trace and without the password."""
    port = free_port()
    done = run_once(tmp_path, **{setting: url.format(port=port)})
    assert done.returncode == 69, done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error: not reachable")]) == 1
    assert str(port) in done.stderr
    assert not [word for word in ("Traceback", "open-sesame") if word in done.stderr]


def test_a_configuration_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """The state directory may be one that a person configured by hand."""
    (tmp_path / "var").mkdir()
    (mine := tmp_path / "var/revoker.toml").write_text('broker_url = "amqp://mine"\n')
    assert (done := run_once(tmp_path)).returncode == 2
    assert "not written by `revoker run`" in done.stderr
    assert mine.read_text() == 'broker_url = "amqp://mine"\n'


def test_a_process_that_cannot_start_is_shown_with_the_end_of_its_log(tmp_path: Path) -> None:
    """Whoever reads the message needs no second look at the log."""
    nothing_to_be = ProcessSpec("worker", ("no-such-command",), lambda _: False)
    last_words = r"(?s)worker ended with 2; .*No such command 'no-such-command'"
    with (
        (tmp_path / "lock").open("wb") as lock,
        Supervisor([nothing_to_be], tmp_path, lock.fileno(), print) as supervisor,
        pytest.raises(ProcessFailed, match=last_words),
    ):
        supervisor.start(threading.Event())


TOLD: Any = {"kind": "call", "call_id": "c", "event_id": "e", "provider": "genesys", "state": State.ACCEPTED}
ROW = CallRow(**dict.fromkeys(each.name for each in fields(CallRow)) | TOLD | {"attempt": 2, "exposure_seconds": 2.5})


@pytest.mark.parametrize(
    "differing", [{"state": State.CONFIRMED}, {"provider": "wibmo"}, {"attempt": 3}, {"exposure_seconds": 1.9}]
)
def test_a_sample_that_went_another_way_is_a_broken_promise(differing: dict[str, Any]) -> None:
    """Outcome, provider, attempts and the least time are promises; a run that breaks one exits 1."""
    promise = Expected(provider="genesys", outcome=State.ACCEPTED, attempts=2, seconds=2)
    staged = SampleEvent(Sample(sample="one", event={}, expect=(promise,)), {"id": "e", "type": "session.ended"})
    progress = Progress([staged])
    progress.learn([ROW])
    assert progress.broken_promises() == []
    progress.learn([replace(ROW, **differing)])
    assert len(progress.broken_promises()) == 1


def test_a_call_that_the_provider_knows_nothing_of_is_unproved() -> None:
    """The ledger's word is compared with what the providers saw, never with itself."""
    keys = {"c": ("genesys", "digest")}
    assert unproved_claims([ROW], keys, {("genesys", "digest")}) == []
    assert len(unproved_claims([ROW], keys, {("genesys", "of another token")})) == 1
    assert unproved_claims([replace(ROW, state=State.ALREADY_REVOKED)], keys, set()) == []
