"""`revoker init` as a person types it: asked at a terminal, told beforehand, agreed to; no secret is shown."""

import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from worker.cli import main
from worker.settings import Settings

SECRET = "planted-marker-secret-0123456789"
SET = ("--set", "broker_url=embedded:////srv/broker", "--set", "ledger_url=sqlite:////srv/ledger")
TIMEOUT = 20.0  # seconds for one question
UNSEEN = {"api_key: ", "cipher.key: ", "password: "}


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def revoker(*arguments: str, stdin: str = "", code: int = 0) -> Result:
    """What `revoker init` says below `etc`; it ends with *code*."""
    result = CliRunner().invoke(main, ["init", "--dir", "etc", *arguments], input=stdin, prog_name="revoker")
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    assert SECRET not in result.output
    return result


def in_force(process: str = "") -> Settings:
    """The settings that are written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REVOKER_CONFIG_FILE", "etc/revoker.toml")
        patch.setenv("REVOKER_SECRETS_DIR", f"etc/secrets/{process}")
        return Settings.load()


class Terminal:
    """`revoker init` on a terminal of its own."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        program = str(Path(sys.executable).with_name("revoker"))
        argv = ["setsid", "--ctty", "--wait", program, "init", "--dir", "etc"]
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        self._process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=env)
        os.close(slave)
        self.shown = ""

    def answer(self, questions: Iterable[tuple[str, str | None]]) -> int:
        """Answer each question when it is shown (None: it is none), and return the exit code."""
        at = 0
        for question, answer in questions:
            while (found := self.shown.find(question, at)) < 0:
                self._read()
            while question in UNSEEN and termios.tcgetattr(self._master)[3] & termios.ECHO:
                time.sleep(0.01)  # what is typed before would be dropped
            at = found + len(question)
            if answer is not None:
                os.write(self._master, f"{answer}\n".encode())
        while self._process.poll() is None:
            self._read()
        os.close(self._master)
        return self._process.returncode

    def _read(self) -> None:
        ready, _, _ = select.select([self._master], [], [], TIMEOUT)
        assert ready, self.shown
        try:
            self.shown += os.read(self._master, 65_536).decode(errors="replace")
        except OSError:  # the other side is closed: it has ended, or is about to
            time.sleep(0.01)


WIBMO: list[tuple[str, str | None]] = [
    ("name: ", "w"),
    ("kind: ", "wibmo"),
    ("base_url: ", "https://127.0.0.1:9"),
    ("api_key: ", SECRET),
    ("cipher.scheme: ", "aes-gcm"),
    ("cipher.key: ", "00112233445566778899aabbccddeeff"),
    ("cipher.key_encoding: ", "hex"),
    ("name: ", ""),
]
SERVERS: list[tuple[str, str | None]] = [
    ("broker_url: ", f"amqps://it:{SECRET[:3]}@127.0.0.1:9/x"),  # a password: refused where it is shown
    ("leave the password out", None),
    ("broker_url: ", "redis://x"),
    ("broker_url: must start with", None),
    ("broker_url: ", "amqps://127.0.0.1:9/x"),
    ("ledger_url: ", "postgresql+psycopg://it@127.0.0.1:9/x"),
    ("password: ", SECRET),
]
SOURCE: list[tuple[str, str | None]] = [
    ("name: ", "sessions"),
    ("source: ", "urn:example:sessions"),
    ("types: ", "session.ended"),
    ("providers: ", "nobody"),
    ("names a provider that is not configured", None),
    ("source: ", "urn:example:sessions"),
    ("types: ", "session.ended"),
    ("providers: ", "w"),
    ("name: ", ""),
]


def test_a_person_is_asked_and_what_does_not_fit_is_asked_again() -> None:
    """Secrets are not shown, neither when they are typed nor later; nothing is written before the consent."""
    terminal = Terminal()
    assert terminal.answer([*SERVERS, *WIBMO, *SOURCE, ("Write this below", "y")]) == 0, terminal.shown
    assert SECRET not in terminal.shown
    settings = in_force("worker")
    assert settings.ledger_url.get_secret_value() == f"postgresql+psycopg://it:{SECRET}@127.0.0.1:9/x"
    assert settings.providers["w"].account == ("https://127.0.0.1:9", SECRET)
    assert settings.sources["sessions"].types == {"session.ended"}
    added = Terminal()
    known: list[tuple[str, str | None]] = [("name: ", "w"), ("there is a provider w already", None)]
    eu = [("name: ", "eu"), ("kind: ", "finbourne"), ("domain: ", "acme"), ("name: ", ""), ("name: ", "")]
    assert added.answer([*known, *eu, ("Write this below", "n")]) == 2, added.shown
    assert "nothing was changed" in added.shown
    assert in_force("worker") == settings


def test_answers_come_from_stdin() -> None:
    """So no file has to hold a secret."""
    text = f'broker_url = "embedded:////srv/b"\nledger_url = "sqlite:////srv/l"\nsubject_key = "{SECRET}"\n'
    revoker("--answers", "-", "--yes", stdin=text)
    assert in_force().subject_key.get_secret_value() == SECRET


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    """As JSON it lists each file with its mode and purpose, and what is to be done then."""
    told = json.loads(revoker(*SET, "--set", "sources.s.source=urn:s", "--dry-run", "-o", "json").stdout)
    assert (told["schema"], told["written"], told["dir"]) == ("revoker.init/1", False, str(tmp_path / "etc"))
    files = {os.path.relpath(each["path"], "etc"): each["mode"] for each in told["files"]}
    assert (files["revoker.toml"], files["secrets/subject_key"], files["producers/s/signing.jwk"]) == (
        "0644",
        "0600",
        "0600",
    )
    assert f"export REVOKER_CONFIG_FILE={tmp_path}/etc/revoker.toml" in told["steps"]
    assert list(tmp_path.iterdir()) == []


def test_it_ends_with_what_the_doctor_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the new settings, whatever was in force here before, and is again afterwards."""
    monkeypatch.setenv("REVOKER_CONFIG_FILE", "nowhere")
    monkeypatch.delenv("REVOKER_SECRETS_DIR", raising=False)
    here = ("--set", f"broker_url=embedded:///{tmp_path}/broker", "--set", f"ledger_url=sqlite:///{tmp_path}/ledger")
    told = json.loads(revoker(*here, "--yes", "-o", "json").stdout)
    states = {each["check"]: each["state"] for each in told["findings"]}
    assert (states["settings"], states["keys.sealing"], states["files.modes"]) == ("ok", "ok", "ok")
    assert states["ledger.connection"] == "failed"
    assert (os.environ["REVOKER_CONFIG_FILE"], "REVOKER_SECRETS_DIR" in os.environ) == ("nowhere", False)


def test_without_a_terminal_nothing_is_asked_and_nothing_is_written(tmp_path: Path) -> None:
    """`--yes` is the consent, and a wish for JSON is none."""
    assert "--answers or --set is needed" in revoker(code=2).output
    assert "--yes is needed" in revoker(*SET, "-o", "json", code=2).output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    """One line, and no stack trace."""
    (tmp_path / "etc").touch()
    assert "etc" in revoker(*SET, "--yes", code=2).output
    (tmp_path / "etc").unlink()
    (tmp_path / "etc").symlink_to("/proc/self")
    assert revoker(*SET, "--yes", code=1).output.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize("pair", ["broker_url", "=x"])
def test_an_answer_without_a_name_or_a_value_is_a_usage_error(pair: str) -> None:
    """It says what one looks like."""
    assert "an answer looks like" in revoker("--set", pair, code=2).output
