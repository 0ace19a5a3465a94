"""`make incident`: a credential breaks under load, and an operator mends it; the transcript becomes docs/incident.md.

RabbitMQ, PostgreSQL and every process are real, and so is each line below a `$`; the sandbox is the provider.
"""

import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import uuid4

from exposed import value
from servers import PostgresCluster, Processes, RabbitNode, wait_until
from servers.shared import close_root, open_root, shared
from system import System

from worker.calls.holds import store

PAGE: Final = Path(__file__).parents[1] / "docs/incident.md"
ADA: Final = "ada.byron@example.com"
DEAD: Final = 10  # dead letters, before the operator looks
WIDTH: Final = 120  # characters of a line of the page
PAUSE: Final = 0.25  # seconds between two pairs of events of the load
FORBIDDEN: Final = {"fault": "status", "status": 403, "operation": "genesys.delete_tokens_me"}
INTRODUCTION: Final = """# An incident, played

For whoever learns the desk: a provider's permission is taken away under load, and an operator finds out, holds the
provider, has it mended, replays what died, and proves that a person is out. `make incident` plays it on RabbitMQ and
PostgreSQL, with the sandbox as provider, and writes this page: every line after a `$` was run, and below it stands what
it printed. `/_sandbox/` is the sandbox's own control; here it stands for the vendor's administrator. What to do about
other alerts and reasons stands in the [runbooks](runbooks.md), what else can be typed in [operating it](operators.md).
"""


class Transcript:
    """The page as it grows: sentences, and commands with what they print."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.text = INTRODUCTION

    def say(self, sentence: str) -> None:
        """Add *sentence*: why the next command is typed."""
        self.text += f"\n{textwrap.fill(sentence, WIDTH, break_on_hyphens=False)}\n"

    def run(self, command: str, code: int = 0) -> str:
        """Have bash run *command*, which ends with *code*, and add it with what it prints, which comes back."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        env = {"PATH": path, "HOME": str(self.system.home), "LOGNAME": "oncall", **self.system.env}
        done = subprocess.run(
            ["bash", "-c", command],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )
        print(f"$ {command}\n{done.stdout}", flush=True)
        assert done.returncode == code, f"exit code {done.returncode}"
        told = "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())
        shown = f"$ {command}\n{told}".strip()
        self.text += f"\n```text\n{shown}\n```\n"
        return told

    def permit(self, permission: str) -> None:
        """Let the role of our client at Genesys have *permission* alone, as the vendor's administrator does."""
        self.sandbox("PUT", "permissions", json.dumps({"permissions": [permission]}))

    def sandbox(self, method: str, what: str, body: str = "") -> None:
        """Tell the sandbox."""
        data = f" -d '{body}'" if body else ""
        self.run(f"curl -sS -X {method}{data} {self.system.base_url}/_sandbox/{what}")

    def metrics(self, process: str, pattern: str) -> None:
        """Add those metrics of *process* that *pattern* finds."""
        self.run(f"curl -sS http://127.0.0.1:{self.system.ports[process]}/metrics | grep '{pattern}'")


def main() -> None:
    """Play the incident and write the page."""
    open_root()
    try:
        with TemporaryDirectory() as home, _installation(Path(home)) as system, _load(system):
            transcript = Transcript(system)
            _breaks(transcript)
            _mended(transcript, _found_out(transcript))
            _proved(transcript)
            PAGE.write_text(transcript.text)
    finally:
        close_root()


@contextmanager
def _installation(home: Path) -> Iterator[System]:
    """An installation whose processes run and show their metrics; all of it ends with the block."""
    with ExitStack() as stack:
        node, cluster = shared(RabbitNode, "rabbitmq"), shared(PostgresCluster, "postgres")
        (home / "processes").mkdir()
        processes = Processes(home / "processes")
        stack.callback(processes.close)
        url = node.url(node.new_vhost())
        ledger_url = cluster.url(cluster.new_database())
        system = System(home / "system", url, processes, ledger_url=ledger_url)
        stack.callback(system.close)
        system.start_shown()
        yield system


@contextmanager
def _load(system: System) -> Iterator[None]:
    """One session that ended and one disabled user after the other, from a thread, until the block ends."""
    over = threading.Event()

    def publish() -> None:
        number = 0
        while not over.wait(PAUSE):
            number += 1
            user, leaver = f"user-{number}@example.com", f"leaver-{number}@example.com"
            system.publish([_ended(system, user), _disabled(system, leaver)])

    thread = threading.Thread(target=publish, name="load", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)


def _ended(system: System, email: str) -> dict[str, Any]:
    """A session at Genesys that ended, of the person with this address."""
    event = system.ended(system.session("genesys", f"sbx-{uuid4()}"))
    event["data"]["sub_id"] = {"format": "email", "email": email}
    return event


def _disabled(system: System, email: str) -> dict[str, Any]:
    """The person with this address is disabled, and has an account at Genesys."""
    person = {"format": "email", "email": email}
    return system.disabled(sub_id=person, accounts={"genesys": {"user_id": str(uuid4())}})


def _breaks(transcript: Transcript) -> None:
    """The load, the fault, and what tells of it."""
    system = transcript.system
    transcript.say(
        "Before: sessions end and users are disabled, eight events a second, and the provider can be called."
    )
    transcript.run("revoker provider check genesys")
    transcript.say(
        "Somebody changes roles at Genesys: our client may not delete tokens any more, and users may not end their "
        "sessions. The sandbox is told both."
    )
    transcript.permit("directory:user:view")
    transcript.sandbox("POST", "faults", json.dumps([FORBIDDEN]))
    system.publish([_ended(system, ADA)])
    wait_until(lambda: store.standing(system.ledger.database), 60, "the hold")
    wait_until(lambda: len(system.ledger.dead_letters()) >= DEAD, 60, "the dead letters")
    figure = {"name": "revoker_dead_letters", "reason": "auth.forbidden"}
    wait_until(lambda: value(system.page("recorder")[1], **figure), 60, "the figure of the alert")


def _found_out(transcript: Transcript) -> str:
    """What the operator learns, and the hold; returns the cause."""
    transcript.say(
        "The alert `RevokerCallForbidden` fires with the first dead letter of `auth.forbidden`: this is the figure "
        "that its rule reads."
    )
    transcript.metrics("recorder", "^revoker_dead_letters{.*auth.forbidden")
    transcript.say(
        "`RevokerProviderHeld` would follow after ten minutes of this: the workers hold by themselves what needs their "
        "own credential, so that those calls do not die."
    )
    transcript.metrics("worker", "^revoker_breaker_state")
    transcript.say("The alert names the command to begin with. What died, of what, and is it mended by now? Not yet.")
    told = transcript.run("revoker dlq causes --check")
    transcript.say("Somebody asks for one person. She is not out (exit code 1), and it is said where, and why.")
    transcript.run(f"revoker explain {ADA}", 1)
    transcript.say(
        "Users' own sessions go on dying, so all calls are held by hand: from now on they wait in the broker."
    )
    transcript.run("revoker provider hold genesys --reason 'roles were changed' --yes")
    return told.splitlines()[1].split()[0]


def _mended(transcript: Transcript, cause: str) -> None:
    """The fix, the check, and the replay, whose canary waits for the release."""
    transcript.say("The administrator gives both back.")
    transcript.permit("oauth:token:delete")
    transcript.sandbox("DELETE", "faults")
    transcript.say("Before anything is called, the provider is asked whether it could be; that revokes nothing.")
    transcript.run("revoker provider check genesys")
    transcript.say(
        "The replay is planned as a job, one letter first. The canary waits in the hold, so the job pauses "
        "(exit code 3), and nothing else of it is sent."
    )
    options = f"--cause {cause} --canary 1 --stop-after-failures 3 --wait 10"
    told = transcript.run(f"revoker dlq replay {options} --reason 'roles are back' --yes", 3)
    job = told.splitlines()[-1].removeprefix("job ").partition(",")[0]
    transcript.run("revoker dlq jobs list")
    transcript.say("The release lets out the canary, and what came in meanwhile.")
    transcript.run("revoker provider release genesys --reason 'roles are back' --yes")
    wait_until(lambda: _settled(transcript.system, job), 60, "the canary to settle")
    transcript.say("The canary has settled, so the rest may follow. What runs is what was planned.")
    transcript.run(f"revoker dlq jobs show {job}")
    transcript.run(f"revoker dlq jobs resume {job} --yes")


def _settled(system: System, job: str) -> bool:
    """Whether a letter of the replay *job* has settled."""
    return bool(json.loads(system.revoker("dlq", "jobs", "show", job, "-o", "json").stdout)["settled"])


def _proved(transcript: Transcript) -> None:
    """One person, and the audit."""
    transcript.say("She is out everywhere, and the provider's answer is the evidence.")
    transcript.run(f"revoker explain {ADA}")
    transcript.say("Each change is on record with who made it and why, and the record is whole.")
    transcript.run("revoker audit list")
    transcript.run("revoker audit verify")


if __name__ == "__main__":
    main()
