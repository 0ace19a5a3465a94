"""From nothing to the first replay on RabbitMQ and PostgreSQL: `revoker init`, then what it prints, as it stands."""

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from documents import PAGES, ROOT, blocks, section
from servers import Daemon, Processes, RabbitNode, wait_until
from servers.processes import environment

from worker.broker.permissions import USERS
from worker.cli import main
from worker.sandbox import sandbox_providers
from worker.settings.toml import toml_lines

SOURCE = "urn:example:session-timeout-job"
WHO = "annie.easley@example.com"
RABBITMQCTL = '#!/bin/sh\n{exports}exec {program} -n {node} "$@"\n'


class Newcomer:
    """A person who types what they are told, in the folder *home*."""

    def __init__(self, home: Path, processes: Processes) -> None:
        self.home, self.processes = home, processes
        self.etc = home / "etc"
        self.env: dict[str, str] = {}
        (home / "bin").mkdir()

    def answer(self, answers: dict[str, Any]) -> list[str]:
        """Set up by these answers, and return the lines that are printed then."""
        file = self.home / "answers.toml"
        file.write_text("\n".join(toml_lines(answers)))
        file.chmod(0o600)
        told = self.revoker("init", "--dir", str(self.etc), "--answers", str(file), "--yes")
        return told.rpartition("\n\n")[2].splitlines()

    def type(self, lines: list[str]) -> None:
        """Have a shell do *lines*, and keep what they export."""
        path = os.pathsep.join([str(self.home / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
        script = "\n".join(["set -e", *lines, "exec >/dev/stderr; env | grep ^REVOKER_ >exported"])
        variables = {**environment(), **self.env, "PATH": path}
        argv = ["sh", "-c", script]
        done = subprocess.run(
            argv, env=variables, cwd=self.home, capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stderr
        self.env = dict(line.split("=", 1) for line in (self.home / "exported").read_text().splitlines())

    def start(self, line: str) -> Daemon:
        """Start the process of *line*."""
        *variables, _, name = shlex.split(line)
        env = self.env | dict(each.split("=", 1) for each in variables)
        return self.processes.start("revoker", name, env=env, name=name)

    def revoker(self, *arguments: str, code: int = 0, **variables: str) -> str:
        """What `revoker` prints, which ends with *code*."""
        done = self.processes.run("revoker", *arguments, env=self.env | variables)
        assert done.returncode == code, done.stderr
        return done.stdout

    def publish(self, token: str) -> None:
        """Say as the producer, with what it was given and nothing else, that the session of *token* ended."""
        own = self.etc / "producers/sessions"
        (self.home / "token").write_text(token)
        files = ("--sign", str(own / "signing.jwk"), "--jwks", str(own / "sealing.jwks.json"))
        what = ("session.ended", "--provider", "genesys", "--email", WHO, "--token-file", str(self.home / "token"))
        broker = (own / "broker_url").read_text()
        self.revoker("publish", *what, "--source", SOURCE, *files, REVOKER_BROKER_URL=broker)

    def is_out(self) -> bool:
        """Whether `revoker explain` says so of the person."""
        return self.processes.run("revoker", "explain", WHO, env=self.env).returncode == 0


@pytest.fixture
def newcomer(tmp_path: Path, rabbitmq: RabbitNode, processes: Processes) -> Iterator[Newcomer]:
    """One who may administer the broker."""
    made = Newcomer(tmp_path, processes)
    env = rabbitmq._environment
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())
    program = rabbitmq._programs / "rabbitmqctl"
    shim = made.home / "bin/rabbitmqctl"
    shim.write_text(RABBITMQCTL.format(exports=exports, program=program, node=env["RABBITMQ_NODENAME"]))
    shim.chmod(0o755)
    yield made
    for file in made.etc.glob("rabbitmq/*.json"):
        for user in json.loads(file.read_text())["users"]:
            rabbitmq.control(f'rabbit_auth_backend_internal:delete_user(<<"{user["name"]}">>, <<"tests">>).')


@pytest.fixture
def sandbox_url(processes: Processes) -> str:
    """Where the providers are."""
    sandbox = processes.start("revoker", "sandbox", "--port", "0", "--auto-issue", name="sandbox")
    wait_until(lambda: "http://" in sandbox.output, 20, "the sandbox's base URL")
    return sandbox.output.split()[0]


def tell(sandbox_url: str, method: str, faults: list[dict[str, Any]]) -> None:
    """Have the providers fail, or heal them."""
    request = urllib.request.Request(f"{sandbox_url}/_sandbox/faults", json.dumps(faults).encode(), method=method)
    urllib.request.urlopen(request, timeout=10).close()


def test_the_commands_that_are_printed_lead_to_the_first_event_and_the_first_replay(
    newcomer: Newcomer, rabbitmq: RabbitNode, rabbitmq_vhost: str, postgres_url: str, sandbox_url: str
) -> None:
    """Each process as a user of its own, with the rights that were imported; the virtual host may be there already."""
    answers = {
        "broker_url": f"amqp://127.0.0.1:{rabbitmq.port}/{rabbitmq_vhost}",
        "ledger_url": postgres_url,
        "ledger_password": "p@ss/w:rd% é",
        "providers": sandbox_providers(sandbox_url),
        "monitoring": {"port": 0},
        "sources": {"sessions": {"source": SOURCE, "providers": ["genesys"]}},
    }
    steps = newcomer.answer(answers)
    newcomer.type(steps[: steps.index("# The processes, each under a process manager:")])
    processes = [newcomer.start(line) for line in steps if line.startswith("REVOKER_SECRETS_DIR=")]
    assert len(processes) == len(USERS) - 2  # of the operator and of doors, of which there are none
    newcomer.publish("sbx-first")
    wait_until(newcomer.is_out, 30, "the first person to be out")
    tell(sandbox_url, "POST", [{"fault": "status", "status": 403, "match": "sbx-second"}])
    newcomer.publish("sbx-second")
    wait_until(lambda: "auth.forbidden" in newcomer.revoker("dlq", "list"), 30, "the first dead letter")
    assert not newcomer.is_out()
    tell(sandbox_url, "DELETE", [])
    newcomer.revoker("dlq", "replay", "--all", "--reason", "the role was granted", "--yes", "--wait", "20")
    wait_until(newcomer.is_out, 30, "the person to be out after the replay")
    assert all(each.running for each in processes)
    imported = json.loads(newcomer.revoker("topology", "permissions"))["permissions"]
    made = json.loads((newcomer.etc / "rabbitmq/processes.json").read_text())["permissions"]
    assert imported == [each for each in made if not each["user"].endswith("-door")]  # there are no doors


def test_the_readme_shows_what_is_printed_for_the_answers_of_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers are a file that can be used, with its secrets in files; the reader is not root."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    [answers] = blocks("toml", section("Setting it up"))
    (tmp_path / "answers.toml").write_text(answers)
    for name in re.findall(r'file = "(\w+)"', answers):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text("a-secret\n")
    [dry_run] = [line for line in blocks("sh", section("Setting it up"))[0].splitlines() if "--dry-run" in line]
    told = CliRunner().invoke(main, [*shlex.split(dry_run)[1:], "--dir", "etc"])
    assert told.exit_code == 0, told.output
    steps = [line.replace(f"{tmp_path}/etc", "/etc/revoker") for line in json.loads(told.stdout)["steps"]]
    [shown] = [text for text in blocks("sh", PAGES[ROOT / "README.md"]) if text.startswith("revoker init")]
    assert shown.splitlines() == ["revoker init", *steps]
