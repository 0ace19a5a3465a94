"""`revoker health` as probes and people use it: a question, an answer for each process, an exit code."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from http import HTTPStatus

import pytest
from click.testing import CliRunner, Result
from servers import free_port, wait_until

from worker.cli import main
from worker.observability import monitoring
from worker.observability.endpoint import Endpoint, Reply
from worker.observability.health import Answer
from worker.operations.health import Question, ask
from worker.settings.sections import MonitoringSettings

YES, NO = Reply(HTTPStatus.OK, b"connected and consuming\n"), Reply(HTTPStatus.SERVICE_UNAVAILABLE, b"it waits\n")


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVOKER_SUBJECT_KEY", "subject-key-of-a-test-installation")


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, int]]:
    """The ports of the three processes: the intake is ready, the worker is not, the recorder is not there."""
    found = {name: free_port() for name in monitoring.PORTS}
    monkeypatch.setattr(monitoring, "PORTS", found)
    with ExitStack() as opened:
        for name, answer in (("intake", YES), ("worker", NO)):
            pages = {monitoring.READY: lambda answer=answer: answer}
            opened.enter_context(Endpoint("127.0.0.1", found[name], pages))
        settings = MonitoringSettings()
        wait_until(lambda: all(each.answer for each in ask(settings, Question.READY, ["intake", "worker"])), 5)
        yield found


def run(*arguments: str) -> Result:
    """What `revoker health` says."""
    return CliRunner().invoke(main, ["health", *arguments], prog_name="revoker")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 1),
        (["--process", "intake"], 0),
        (["--process", "worker"], 1),
        (["--process", "recorder"], 69),
        (["--process", "intake", "--process", "recorder"], 69),
        (["--process", "intake", "--process", "recorder", "--any"], 0),
        (["--process", "worker", "--process", "recorder", "--any"], 1),
        (["--process", "recorder", "--any"], 69),
    ],
)
@pytest.mark.usefixtures("ports")
def test_the_exit_code_tells_yes_no_and_nobody(arguments: list[str], code: int) -> None:
    """A no outweighs a silence; with --any, silence counts only where nobody answers."""
    assert run("ready", *arguments).exit_code == code


def test_each_answer_is_shown_with_its_reason(ports: Mapping[str, int]) -> None:
    """As a table, and as JSON for programs."""
    said = run("ready").stdout
    assert all(words in said for words in ("intake", "connected and consuming", "it waits", "nobody answers there"))
    found = json.loads(run("ready", "-o", "json").stdout)
    assert [(each["process"], each["answer"]) for each in found["items"]] == [
        ("intake", "yes"),
        ("worker", "no"),
        ("recorder", "none"),
    ]
    assert found["items"][0]["at"] == f"127.0.0.1:{ports['intake']}"


def test_a_port_of_the_settings_is_the_one_that_is_asked(
    ports: Mapping[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever process has it; and where there is none, nobody can be asked."""
    monkeypatch.setenv("REVOKER_MONITORING__PORT", str(ports["intake"]))
    assert run("ready").exit_code == 0
    monkeypatch.setenv("REVOKER_MONITORING__PORT", "0")
    refused = run("ready")
    assert (refused.exit_code, "monitoring.port is 0" in refused.stderr) == (2, True)


@pytest.mark.parametrize(("host", "asked"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("127.0.0.2", "127.0.0.2")])  # noqa: S104 - a case
def test_who_listens_everywhere_is_asked_here(host: str, asked: str) -> None:
    """The address that means all of them is none to connect to."""
    [found] = ask(MonitoringSettings(host=host, port=free_port()), Question.LIVE)
    assert (found.host, found.answer) == (asked, None)


def test_of_a_long_answer_a_little_is_shown() -> None:
    """Another program may have the port."""
    pages = {monitoring.LIVE: lambda: Reply(HTTPStatus.OK, b"x" * 1000)}
    with Endpoint("127.0.0.1", port := free_port(), pages):
        settings = MonitoringSettings(port=port)
        found = wait_until(lambda: next(iter(ask(settings, Question.LIVE))).answer, 5, "an answer")
    assert found == Answer(is_yes=True, why="x" * 200)
