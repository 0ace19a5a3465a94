"""`make incident`: a credential breaks under load, and an operator mends it; the transcript becomes docs/incident.md.

`make screenshots` takes the pictures of the console on that page as well (`--pictures`).

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
from incident_pictures import Pictures, Shot, console_settings, finding, new_password, pressing, taking
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
SHOTS: Final = {
    "now": Shot("Now: exposure, genesys held by its breaker, its dead letters", "/"),
    "causes": Shot(
        "The cause, what mends it, and that it is not mended yet", "/causes", theme="dark", act=pressing("Check")
    ),
    "person": Shot("Ada is not out yet, why, and what to do", "/", "narrow", act=finding(ADA)),
    "plan-hold": Shot("The plan of the hold", "/providers/genesys", "narrow", "dark", pressing("Plan hold")),
    "provider": Shot("genesys is held by hand, and could be called", "/providers/genesys", act=pressing("Check")),
    "plan-rest": Shot("The plan of what remains", "/jobs/{job}", theme="dark", act=pressing("Plan to run")),
    "job": Shot("The job is done", "/jobs/{job}", "narrow"),
    "out": Shot("Ada is out everywhere, with the evidence and each step", "/", act=finding(ADA)),
    "audit": Shot("Each change, and that the audit is whole", "/audit", theme="dark", act=pressing("Verify", "/audit")),
}
INTRODUCTION: Final = """# An incident, played

For whoever learns the desk: a provider's permission is taken away under load, and an operator finds out, holds the
provider, has it mended, replays what died, and proves that a person is out. `make incident` plays it on RabbitMQ and
PostgreSQL, with the sandbox as provider, and writes this page: every line after a `$` was run, and below it stands what
it printed. `/_sandbox/` is the sandbox's own control; here it stands for the vendor's administrator. What to do about
other alerts and reasons stands in the [runbooks](runbooks.md), what else can be typed in [operating it](operators.md).
The pictures are of the [console](console.md) at the same moments, in both themes and at 1280 and 390 pixels;
`make screenshots` plays the incident and takes them.
"""


class Transcript:
    """The page as it grows: sentences, and commands with what they print."""

    def __init__(self, system: System, pictures: Pictures | None = None) -> None:
        self.system = system
        self.pictures = pictures
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

    def show(self, name: str, **where: str) -> None:
        """Add the picture *name* of the console; it is taken where that is meant."""
        shot = SHOTS[name]
        if self.pictures:
            self.pictures.take(name, shot, shot.path.format(**where))
        self.text += f"\n![{shot.words}](pictures/{name}.webp)\n"

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
    password, is_pictured = new_password(), "--pictures" in sys.argv[1:]
    try:
        with ExitStack() as stack:
            home = Path(stack.enter_context(TemporaryDirectory()))
            system = stack.enter_context(_installation(home, console_settings(home, password)))
            pictures = stack.enter_context(taking(system, password)) if is_pictured else None
            stack.enter_context(_load(system))
            transcript = Transcript(system, pictures)
            _breaks(transcript)
            _mended(transcript, _found_out(transcript))
            _proved(transcript)
            PAGE.write_text(transcript.text)
    finally:
        close_root()


@contextmanager
def _installation(home: Path, console: dict[str, Any]) -> Iterator[System]:
    """An installation whose processes run and show their metrics; all of it ends with the block."""
    with ExitStack() as stack:
        node, cluster = shared(RabbitNode, "rabbitmq"), shared(PostgresCluster, "postgres")
        (home / "processes").mkdir()
        processes = Processes(home / "processes")
        stack.callback(processes.close)
        url = node.url(node.new_vhost())
        ledger_url = cluster.url(cluster.new_database())
        system = System(home / "system", url, processes, ledger_url=ledger_url, console=console)
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
    transcript.show("now")
    transcript.say("The alert names the command to begin with. What died, of what, and is it mended by now? Not yet.")
    told = transcript.run("revoker dlq causes --check")
    transcript.show("causes")
    transcript.say("Somebody asks for one person. She is not out (exit code 1), and it is said where, and why.")
    transcript.run(f"revoker explain {ADA}", 1)
    transcript.show("person")
    transcript.say(
        "Users' own sessions go on dying, so all calls are held by hand: from now on they wait in the broker. At the "
        "console it would be planned first, as every change."
    )
    transcript.show("plan-hold")
    transcript.run("revoker provider hold genesys --reason 'roles were changed' --yes")
    return told.splitlines()[1].split()[0]


def _mended(transcript: Transcript, cause: str) -> None:
    """The fix, the check, and the replay, whose canary waits for the release."""
    transcript.say("The administrator gives both back.")
    transcript.permit("oauth:token:delete")
    transcript.sandbox("DELETE", "faults")
    transcript.say("Before anything is called, the provider is asked whether it could be; that revokes nothing.")
    transcript.run("revoker provider check genesys")
    transcript.show("provider")
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
    transcript.show("plan-rest", job=job)
    transcript.run(f"revoker dlq jobs resume {job} --yes")
    transcript.show("job", job=job)


def _settled(system: System, job: str) -> bool:
    """Whether a letter of the replay *job* has settled."""
    return bool(json.loads(system.revoker("dlq", "jobs", "show", job, "-o", "json").stdout)["settled"])


def _proved(transcript: Transcript) -> None:
    """One person, and the audit."""
    transcript.say("She is out everywhere, and the provider's answer is the evidence.")
    transcript.run(f"revoker explain {ADA}")
    transcript.show("out")
    transcript.say("Each change is on record with who made it and why, and the record is whole.")
    transcript.run("revoker audit list")
    transcript.run("revoker audit verify")
    transcript.show("audit")


if __name__ == "__main__":
    main()
