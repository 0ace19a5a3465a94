"""What `revoker init` takes for an answer, and what it refuses: by name, and never by its value."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from in_one_test import in_one_test
from setup_answers import ANSWERS, GENESYS, SESSIONS, loaded, set_up
from sqlalchemy import make_url
from starting import MARKER, secret, without_settings

from tasks.providers import KINDS
from worker.operations import RefusedRequest
from worker.operations.setup.answers import add_answer, add_secret, read_answers
from worker.operations.setup.questions import ASKED_KINDS, questions_of
from worker.settings import SettingsError
from worker.settings.toml import toml_lines


@pytest.fixture(autouse=True)
def _a_clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_settings(monkeypatch, tmp_path)
    monkeypatch.delenv("REVOKER_SUBJECT_KEY")


@in_one_test
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"broker_url": 1}, "broker_url: "),
        ({"broker_url": "amqp://rabbitmq.example.com"}, "broker_url: amqp:// to another machine"),
        ({"ledger_password": "x", "ledger_url": "sqlite:////x"}, "ledger_password: ledger_url names no user"),
        ({"broker_password": "x"}, "broker_password: broker_url names no user"),
        ({"sources": 1}, "sources: "),
        ({"sources": {"sessions": 1}}, "sources.sessions: "),
        ({"sources": {"worker": SESSIONS}}, "sources.worker: its name must be"),
        ({"sources": {"../x": SESSIONS}}, "sources.../x: its name must be"),
        ({"providers": 1}, "providers: "),
        ({"providers": {"a__b": GENESYS}}, "providers.a__b: its name must be"),
        (
            {"providers": {"a": {**GENESYS, "client_secret": {"file": "nowhere"}}}},
            "providers.a.client_secret: the file",
        ),
        ({"providers": {"a": {**GENESYS, "client_secret": f"{MARKER} "}}}, "providers.a.client_secret: "),
        ({"providers": {"a": {**GENESYS, "client_secret": f'["{MARKER}"]'}}}, "providers.a.client_secret: reads as"),
        ({"subject_key": f"{MARKER}\n"}, "subject_key: begins or ends with white space"),
        ({"subject_key": f"{MARKER}\x00{MARKER}"}, "subject_key: holds characters that are no text"),
        ({"_secrets_dir": MARKER}, "_secrets_dir: unknown setting"),
        ({"brokerurl": MARKER}, "brokerurl: unknown setting; did you mean broker_url?"),
    ],
)
def test_an_answer_that_cannot_be_is_named_and_never_shown(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    """And nothing is written."""
    with pytest.raises((RefusedRequest, SettingsError)) as refused:
        set_up(tmp_path / "etc", ANSWERS | change)
    assert str(refused.value).startswith(told)
    assert MARKER not in str(refused.value)
    assert not (tmp_path / "etc").exists()


@pytest.mark.parametrize("name", ["broker_url", "ledger_url"])
def test_broker_and_ledger_are_asked_for(tmp_path: Path, name: str) -> None:
    """A default would be a file in whatever folder the processes are started in."""
    with pytest.raises(RefusedRequest, match=rf"{name}: is missing \("):
        set_up(tmp_path, {key: value for key, value in ANSWERS.items() if key != name})


@in_one_test
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("subject_key", MARKER),
        ("ledger_password", MARKER),
        ("broker_password", MARKER),
        ("broker_url", "amqps://u:p@host"),
        ("ledger_url", "postgresql+psycopg://u@host/x?password=p"),
        ("sentry_dsn", "https://key@sentry.test/1"),
        ("providers.a.client_secret", MARKER),
        ("providers.a.api_key", MARKER),
        ("providers.a.cipher.key", MARKER),
    ],
)
def test_no_secret_is_taken_from_the_command_line(name: str, text: str) -> None:
    """Everybody on the machine can read it there."""
    with pytest.raises(RefusedRequest, match=rf"{name}: a command line is no place for a secret; give it by --secret"):
        add_answer({}, name, text)


def test_answers_may_name_the_files_of_their_secrets(tmp_path: Path) -> None:
    """A line break at the end of such a file is not a part of the secret."""
    file = secret(tmp_path / "given", "password", "p@ss/w%rd\n")
    answers = {**deepcopy(ANSWERS), "ledger_password": {"file": str(file)}}
    add_answer(answers, "providers.eu.kind", "finbourne")
    add_answer(answers, "providers.eu.domain", "acme")
    add_secret(answers, "subject_key", secret(tmp_path / "given", "key", "k" * 40))
    set_up(tmp_path / "etc", answers)
    with loaded(tmp_path / "etc", "worker") as found:
        assert make_url(found.ledger_url.get_secret_value()).password == "p@ss/w%rd"
        assert found.subject_key.get_secret_value() == "k" * 40
        assert found.providers["eu"].model_dump()["domain"] == "acme"


def test_a_file_of_answers_that_holds_a_secret_is_for_its_owner_alone(tmp_path: Path) -> None:
    """One without is not."""
    text = "\n".join(toml_lines(ANSWERS))
    with pytest.raises(RefusedRequest, match=r"open: holds a secret and is open to others; set its mode to 0600"):
        read_answers(secret(tmp_path, "open", text, 0o644))
    assert read_answers(secret(tmp_path, "private", text)) == ANSWERS
    public = secret(tmp_path, "public", text.replace(f'"{MARKER}"', '{ file = "x" }'), 0o644)
    assert read_answers(public)["providers"]["genesys"]["client_secret"] == {"file": "x"}


@pytest.mark.parametrize("kind", ASKED_KINDS)
def test_a_provider_is_asked_for_all_that_it_needs(kind: str) -> None:
    """Secrets unseen."""
    of_kinds: dict[str, dict[str, Any]] = {
        "genesys": {"region": "eu-west-1", "client_id": "1", "client_secret": "s"},
        "finbourne": {"domain": "acme"},
        "wibmo": {
            "base_url": "https://w.test",
            "api_key": "k",
            "cipher": {"scheme": "aes-gcm", "key": "MDEyMzQ1Njc4OWFiY2RlZg=="},
        },
    }
    answers = of_kinds[kind]
    questions = {".".join(each.path): each for each in questions_of(kind)}
    answered = {name for name in questions if not name.startswith("cipher.")} | ({"cipher"} & answers.keys())
    assert answered == answers.keys()
    assert KINDS[kind].settings.model_validate(answers)
    assert {name for name, each in questions.items() if each.is_secret} <= {"client_secret", "api_key", "cipher.key"}
