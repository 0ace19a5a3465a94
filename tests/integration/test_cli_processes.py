"""`revoker` as real processes: the whole story by its commands, two replays at once, one killed half way."""

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

from cli_installation import Installation, tell
from ledger_figures import audits
from replay_desk import EVERY, call_in, dead_call
from servers import Daemon, Processes, wait_until

from worker.ledger import DeadLetterState

pytest_plugins = ["cli_fixtures"]
REPLAY = ("python", "-m", "worker.cli", "dlq", "replay", "--all", "--yes", "-o", "json")
PROJECT = str(Path(__file__).parents[2])


def environment(installation: Installation) -> dict[str, str]:
    """What an operator's shell would hold."""
    names = ("broker_url", "ledger_url", "keys_dir", "subject_key", "providers")
    return {f"REVOKER_{name.upper()}": installation.setting(name) for name in names} | {"PYTHONPATH": PROJECT}


def result_in(process: Daemon) -> dict[str, int]:
    """The JSON document among a process's output."""
    found: dict[str, int] = json.loads(next(line for line in process.output.splitlines() if line.startswith("{")))
    return found


def replayed_ids(installation: Installation) -> list[str]:
    """The calls in the broker."""
    return sorted(call_in(message)["call_id"] for message in installation.desk.replayed())


def test_two_processes_replay_each_dead_letter_once(installation: Installation, processes: Processes) -> None:
    """Nobody has to know of the other."""
    letters = [dead_call(call_id=str(uuid.uuid4())) for _ in range(60)]
    installation.desk.fill(*letters)
    env = environment(installation)
    both = [processes.start(*REPLAY, "--rate", "30/s", env=env) for _ in range(2)]
    assert [process.wait(30) for process in both] == [0, 0]
    assert replayed_ids(installation) == sorted(letter.call.call_id for letter in letters if letter.call)
    assert sum(result_in(process)["replayed"] for process in both) == 60


def test_a_replay_killed_half_way_can_be_finished_by_another(installation: Installation, processes: Processes) -> None:
    """Kill -9: every dead letter is in the broker or on the desk; at most one step waits for its lease to end."""
    letters = [dead_call() for _ in range(12)]
    installation.desk.fill(*letters)
    first = processes.start(*REPLAY, "--rate", "5/s", env=environment(installation))
    wait_until(lambda: _count(installation, DeadLetterState.REPLAYED) >= 3, 30, "three replays")
    first.kill9()
    second = processes.start(*REPLAY, env=environment(installation))
    assert second.wait(30) == 0
    stuck = [row for row in installation.desk.ledger.dead_letters(EVERY) if row.state is DeadLetterState.CLAIMED]
    assert len(stuck) <= 1
    ids = set(replayed_ids(installation)) | {str(row.call_id) for row in stuck}
    assert ids == {letter.call.call_id for letter in letters if letter.call}


def test_ctrl_c_during_a_replay_is_130_and_leaves_no_claim(installation: Installation, processes: Processes) -> None:
    """Resumable: the same command does the rest."""
    installation.desk.fill(*(dead_call() for _ in range(12)))
    process = processes.start(*REPLAY, "--rate", "5/s", env=environment(installation))
    wait_until(lambda: _count(installation, DeadLetterState.REPLAYED) >= 2, 30, "two replays")
    assert process.stop(signal.SIGINT) == 130
    assert "Traceback" not in process.output
    assert _count(installation, DeadLetterState.CLAIMED) == 0
    [entry] = audits(installation.desk.ledger)
    assert re.fullmatch(r"\d+ replayed, \d+ remaining; stopped: interrupted", entry.result)
    assert result_in(process)["replayed"] == _count(installation, DeadLetterState.REPLAYED)


def test_an_operator_is_asked_on_the_terminal(installation: Installation) -> None:
    """Anything but a yes changes nothing."""
    installation.desk.fill(dead_call())
    command = [sys.executable, "-m", "worker.cli", "dlq", "discard", "--all", "--reason", "gone"]
    for answer, code, state in ((b"n\n", 2, DeadLetterState.DEAD), (b"y\n", 0, DeadLetterState.DISCARDED)):
        master, slave = os.openpty()
        os.write(master, answer)
        done = subprocess.run(command, stdin=slave, capture_output=True, timeout=60, check=False, cwd=PROJECT)
        os.close(slave)
        os.close(master)
        assert (done.returncode, _count(installation, state)) == (code, 1), done.stderr
        assert b"Discard 1 for good? [y/N]" in done.stderr


def test_the_same_commands_are_mounted_in_celery(installation: Installation) -> None:
    """`celery -A worker dead-letter list`, for those who live there."""
    installation.desk.fill(dead_call())
    installation.run("keys", "generate")
    celery = [str(Path(sys.executable).with_name("celery")), "-A", "worker", "dead-letter"]
    listed = subprocess.run([*celery, "list"], capture_output=True, text=True, timeout=60, check=False, cwd=PROJECT)
    assert (listed.returncode, "http.5xx" in listed.stdout) == (0, True), listed.stderr
    refused = subprocess.run([*celery, "replay"], capture_output=True, text=True, timeout=60, check=False, cwd=PROJECT)
    assert (refused.returncode, "--all" in refused.stderr) == (2, True), refused.stderr


def test_an_operator_heals_a_dead_letter(installation: Installation, processes: Processes, sandbox: Daemon) -> None:
    """Publish, see it die, see the provider healed, replay with a canary, explain: all by command."""
    installation.run("keys", "generate")
    tell(sandbox, "faults", [{"fault": "status", "status": 403, "provider": "finbourne", "times": 1}])
    for name in ("intake", "worker", "recorder"):
        processes.start("revoker", name, env=environment(installation), name=name)
    event_id = installation.run("publish", "session.ended", "--provider", "finbourne", stdin="sbx-1").stdout.strip()
    wait_until(installation.desk.ledger.dead_letters, 60, "the dead letter")
    assert "NOT YET OUT" in installation.run("explain", event_id, code=1).stdout
    done = installation.json("dlq", "replay", "--died-of", "auth.forbidden", "--canary", "1", "--yes", code=0)
    assert (done["replayed"], done["settled"], done["stopped"]) == (1, 1, None)
    assert "OUT everywhere" in installation.run("explain", "--event", event_id).stdout


def _count(installation: Installation, state: DeadLetterState) -> int:
    return [row.state for row in installation.desk.ledger.dead_letters(EVERY)].count(state)
