"""The session-timeout job of examples/, in both languages: killed anywhere, it loses no session's end."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from in_one_test import in_one_test
from killing import KILLED, Deadly, KilledJob, node_job
from npm_packages import install
from portal import EXAMPLES, Portal, signing_source
from servers import Processes, wait_until
from session_timeout_job import __main__ as job
from system import System, digest

NODE_JOB = EXAMPLES / "session-timeout-job-node"
WRITERS = {"store.py", "relay.py"}  # the modules of the job that change anything
RANDOM_KILLS = 8
PIECES_KILLED_AT = 13  # of those that travel between the job in Node.js and its servers


@pytest.fixture
def system(rabbitmq_url: str, tmp_path: Path, processes: Processes) -> Iterator[System]:
    """A system on RabbitMQ that knows the job's signing key, with nothing but its sandbox running."""
    made = System(tmp_path / "system", rabbitmq_url, processes, sources={"sessions": signing_source(tmp_path)})
    yield made
    made.close()


@pytest.fixture
def running(system: System) -> System:
    """The whole of it; the organization has an idle timeout."""
    intake, *_ = system.start()
    system.revoker("genesys", "idle-timeout", "enable", "--instance", "genesys", "--yes")
    wait_until(lambda: "consumer.ready" in intake.output, 30, "the queues to be declared")
    return system


@pytest.fixture
def sqlite_portal(tmp_path: Path, system: System) -> Iterator[Portal]:
    """The application on SQLite."""
    (tmp_path / "sqlite").mkdir()
    shutil.copy(tmp_path / "sessions.jwk", tmp_path / "sqlite")
    made = Portal(tmp_path / "sqlite", f"sqlite:///{tmp_path / 'portal.sqlite3'}", system)
    yield made
    made.close()


@pytest.fixture
def node_portal(postgres_url: str, tmp_path: Path, system: System) -> Iterator[Portal]:
    """The application on PostgreSQL, and the job in Node.js beside it with its packages."""
    made = Portal(tmp_path, postgres_url, system)
    install(NODE_JOB / "package-lock.json", tmp_path)
    for module in NODE_JOB.glob("*.mjs"):
        shutil.copy(module, tmp_path)
    yield made
    made.close()


def python_job(file: Path) -> subprocess.CompletedProcess[str]:
    """Run the job as its page says."""
    argv = [sys.executable, "-m", "session_timeout_job", str(file)]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(EXAMPLES)}
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)


def assert_all_out(system: System, portal: Portal, ended: list[str], living: str) -> None:
    """Each session that was idle is revoked, each by one call of one event, and nobody else is logged out."""
    assert living in portal.open_tokens()
    assert portal.open_tokens().isdisjoint(ended)
    assert portal.outbox() == []
    wanted = set(map(digest, ended))
    wait_until(lambda: wanted <= system.revoked().keys(), 30, "every token to die")
    calls = [each["key"] for each in system.journal() if each["operation"] == "genesys.delete_tokens_me"]
    assert sorted(each for each in calls if each in wanted) == sorted(wanted)
    assert digest(living) not in calls
    assert json.loads(system.revoker("dead-letter", "list", "-o", "json").stdout)["count"] == 0


def kill_in_python(portal: Portal, _: System, *, nth: int) -> list[str]:
    """Kill the job at every nth statement that writes, and at moments chosen by chance; return whose sessions end."""
    ended = [portal.log_in(), portal.log_in()]
    with KilledJob(portal.file) as killed:
        whole = killed.run()
        assert whole["code"] == 0
        for statement in [each for each in whole["reached"] if each[0][0] in WRITERS and each[1] == 1][::nth]:
            ended.append(portal.log_in())
            assert killed.run(statement=statement)["code"] == KILLED
        for _each in range(RANDOM_KILLS):
            ended.append(portal.log_in())
            killed.run(seconds=random.uniform(0, whole["seconds"]))  # noqa: S311 - no secret
        assert killed.run()["code"] == 0
    return ended


def kill_in_node(portal: Portal, system: System) -> list[str]:
    """Kill the job before pieces that travel to or from database and broker, evenly spread; likewise."""
    ended = [portal.log_in(), portal.log_in()]
    with Deadly(portal, system) as deadly:
        pieces = deadly.run(kill_at=0)
        assert pieces > PIECES_KILLED_AT
        for n in range(PIECES_KILLED_AT):
            ended += [portal.log_in(), portal.log_in()]
            deadly.run(kill_at=1 + n * pieces // PIECES_KILLED_AT)
        deadly.run(kill_at=0)
    return ended


@pytest.mark.timeout(300)
@in_one_test
@pytest.mark.parametrize(
    ("kill", "store"),
    [
        (partial(kill_in_python, nth=1), "sqlite_portal"),
        (partial(kill_in_python, nth=8), "node_portal"),  # PostgreSQL meets the job in Node.js as well
        (kill_in_node, "node_portal"),
    ],
    ids=["python on SQLite", "python on PostgreSQL", "node on PostgreSQL"],
)
def test_a_job_that_is_killed_anywhere_loses_nothing(
    running: System, sqlite_portal: Portal, node_portal: Portal, kill: Callable[..., list[str]], store: str
) -> None:
    """With SIGKILL: each idle session ends at the provider, by one call, and nobody else's does."""
    portal = {"sqlite_portal": sqlite_portal, "node_portal": node_portal}[store]
    living = portal.log_in(idle=0)
    assert_all_out(running, portal, kill(portal, running), living)


def test_while_the_broker_is_away_events_wait_in_the_outbox_and_show_no_token(
    running: System, node_portal: Portal
) -> None:
    """Sessions are ended all the same, in both languages; later one pass publishes what waited."""
    node_portal.lose_broker()
    ended = [node_portal.log_in()]
    told = python_job(node_portal.file)
    assert (told.returncode, told.stdout) == (1, "ended: 1\n")
    ended.append(node_portal.log_in())
    node = node_job(node_portal.file)
    assert node.communicate(timeout=60)[0] == "ended: 1\n"
    assert node.returncode == 1
    [first, second] = node_portal.outbox()
    assert not any(token in body for token in ended for body in (first, second))
    node_portal.configure()
    told = python_job(node_portal.file)
    assert (told.returncode, told.stdout) == (0, "ended: 0\npublished: 2\n")
    assert_all_out(running, node_portal, ended, node_portal.log_in(idle=0))


@in_one_test
@pytest.mark.parametrize(("operation", "status"), [("genesys.get_tokens_timeout", 500), ("genesys.login", 401)])
def test_without_the_organizations_word_no_session_is_ended(
    system: System, node_portal: Portal, operation: str, status: int
) -> None:
    """What Genesys Cloud does not say is not guessed: a wrong guess would log people out who are at work."""
    system.heal()
    system.script({"fault": "status", "operation": operation, "status": status})
    token = node_portal.log_in()
    for told in in_both_languages(node_portal.file):
        assert told.returncode == 1
        assert str(status) in told.stderr
    assert token in node_portal.open_tokens()


def in_both_languages(file: Path) -> Iterator[subprocess.CompletedProcess[str]]:
    """What the job says in Python, in this process, and in Node.js."""
    out, errors = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        code = job.main(str(file))
    yield subprocess.CompletedProcess("python", code, out.getvalue(), errors.getvalue())
    node = node_job(file)
    told = node.communicate(timeout=60)
    yield subprocess.CompletedProcess("node", node.returncode, *told)


def test_a_file_of_settings_that_others_may_read_is_refused_by_name(system: System, node_portal: Portal) -> None:
    """So is one that lacks a setting; the message names it and shows no value."""
    node_portal.configure(genesys_client_secret="")
    for told in in_both_languages(node_portal.file):
        assert (told.returncode, told.stdout) == (2, "")
        assert "genesys_client_secret must be a text" in told.stderr
    node_portal.configure()
    node_portal.file.chmod(0o644)
    for told in in_both_languages(node_portal.file):
        assert told.returncode == 2
        assert "chmod 600" in told.stderr
        assert system.secrets()["client secret"] not in told.stderr
