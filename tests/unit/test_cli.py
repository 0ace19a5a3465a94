"""The command tree: fast help, one clear line per failure, values read strictly, output that acts on no terminal."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tasks.outcome import Reason
from tasks.sealing import SealError
from worker.broker.publication import Unconfirmed
from worker.cli import main
from worker.cli.consent import require_consent
from worker.cli.exits import CommandError, Exit, finish
from worker.cli.output import Column, Form, Listing, fitted
from worker.cli.params import moment, rate, span
from worker.cli.processes import celery_arguments
from worker.cli.tree import Commands
from worker.ledger import DeadLetterAmbiguous, DeadLetterNotFound, LedgerRefused, LedgerUnavailable
from worker.operations import RefusedRequest
from worker.operations.genesys import CredentialRefused, NoAnswer
from worker.operations.text import plain, short_duration
from worker.settings import SettingsError

HELP = """
import sys, worker.cli
worker.cli.main(["--help"], standalone_mode=False)
sys.exit("worker.settings" in sys.modules)
"""
MARKER = "planted-marker-0123456789"
SUBJECT_KEY = "subject-key-of-a-unit-test-0123456789"


@pytest.fixture(autouse=True)
def _installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REVOKER_SUBJECT_KEY", SUBJECT_KEY)
    monkeypatch.setenv("REVOKER_KEYS_DIR", str(tmp_path / "keys"))


def run(*arguments: str, code: int = 0) -> Result:
    """What `revoker` says; it must end with *code*."""
    result = CliRunner().invoke(main, arguments, prog_name="revoker")
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


def ending(error: BaseException) -> Result:
    """How a command ends that meets *error*."""

    @click.command()
    def meet() -> None:
        raise error

    return CliRunner().invoke(Commands("revoker", commands={"meet": meet}), ["meet"])


def test_help_imports_no_command() -> None:
    """It is fast, and works where nothing is configured."""
    project = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False, cwd=project)
    assert done.returncode == 0, done.stderr
    assert "dead-letter" in done.stdout


@pytest.mark.parametrize("name", [name for name in main.list_commands(click.Context(main)) if name != "run"])
def test_every_command_explains_itself(name: str) -> None:
    """Each part of the tree is where the table says."""
    assert "Usage: revoker" in run(name, "--help").stdout


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("REVOKER_SUBJECT_KEY: missing"), Exit.REFUSED),
        (LedgerUnavailable("ledger /x: locked"), Exit.UNAVAILABLE),
        (LedgerRefused("ledger /x: DataError"), Exit.FAILED),
        (Unconfirmed("the broker did not confirm in time"), Exit.UNAVAILABLE),
        (SealError("the key file x serves not"), Exit.FAILED),
        (RefusedRequest("no provider named x is configured"), Exit.REFUSED),
        (DeadLetterNotFound("zz: no dead letter has an id that starts so"), Exit.FAILED),
        (DeadLetterAmbiguous("a: several dead letters have an id that starts so"), Exit.REFUSED),
        (NoAnswer("net.timeout"), Exit.FAILED),
        (CredentialRefused("auth.unauthorized"), Exit.NOT_PERMITTED),
        (PermissionError(13, "Permission denied", "/keys/k1.jwk.json"), Exit.NOT_PERMITTED),
        (FileNotFoundError(2, "No such file or directory", "/keys"), Exit.FAILED),
        (CommandError("not permitted", Exit.NOT_PERMITTED), Exit.NOT_PERMITTED),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (click.Abort(), Exit.INTERRUPTED),
    ],
)
def test_what_an_operator_can_act_on_is_one_line(error: BaseException, code: Exit) -> None:
    """With its exit code, and no stack trace."""
    result = ending(error)
    assert result.exit_code == code
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_a_bug_keeps_its_stack_trace() -> None:
    """Hiding it would help nobody."""
    assert isinstance(ending(ZeroDivisionError()).exception, ZeroDivisionError)


def test_a_misspelt_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2; the value is not shown."""
    monkeypatch.setenv("REVOKER_LEDGR_URL", MARKER)
    result = run("config", "show", code=2)
    assert "did you mean REVOKER_LEDGER_URL?" in result.stderr
    assert MARKER not in result.output


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("6h", 21_600), ("2d", 172_800), ("0s", 0)])
def test_a_span_has_a_number_and_a_unit(text: str, seconds: int) -> None:
    """Seconds, minutes, hours, days."""
    assert span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["5/s", "300/m", "18000/h", "5.0/s"])
def test_a_rate_is_so_many_per_time(text: str) -> None:
    """All the same rate."""
    assert rate(text) == 5.0


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((span, text) for text in ("5", "-5s", "999999999d")),
        *((rate, text) for text in ("0/s", "5", "x/s")),
        *((moment, text) for text in ("yesterday", "2026-11-21", "999999999d")),
    ],
)
def test_a_value_of_another_shape_is_a_usage_error(kind: Callable[[str], object], text: str) -> None:
    """Never a stack trace, never a guess."""
    with pytest.raises(click.BadParameter):
        kind(text)


def test_a_moment_is_absolute_or_so_long_ago() -> None:
    """RFC 3339 with an offset, or a span."""
    assert moment("2026-11-21T02:15:30+01:00") == datetime(2026, 11, 21, 1, 15, 30, tzinfo=UTC)
    started = datetime.now(UTC)
    ago = started - moment("6h")
    assert timedelta(hours=5, minutes=59) < ago < timedelta(hours=6, minutes=1)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (45, "45s"), (725, "12m"), (21_780, "6h03m"), (273_600, "3d04h"), (-5, "0s")]
)
def test_durations_are_short(seconds: int, text: str) -> None:
    """Two units at most."""
    assert short_duration(timedelta(seconds=seconds)) == text


def test_what_a_producer_named_does_not_act_on_the_terminal() -> None:
    """Escapes, line breaks and direction changes are shown, not obeyed."""
    assert plain("a\x1b[2Jb\nc\u202ed\x9be") == "a\ufffd[2Jb\ufffdc\ufffdd\ufffde"


def test_columns_give_way_in_their_order() -> None:
    """The widest of those that may be cut first; those that are never cut stay whole."""
    assert fitted([8, 40, 20, 5], [0, 1, 1, 0], 60) == [8, 21, 20, 5]
    assert fitted([8, 40, 20, 5], [0, 2, 1, 0], 60) == [8, 33, 8, 5]
    assert fitted([8, 40], [0, 1], 80) == [8, 40]
    assert fitted([90, 40], [0, 1], 80) == [90, 8]


def test_a_cell_in_brackets_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """Rich would read [bold] as an order."""
    listing: Listing[str] = Listing("thing", (Column("NAME", str),), lambda row: {"name": row})
    listing.show(Form.TABLE, ["[bold]x[/bold]"])
    assert capsys.readouterr().out == "NAME\n[bold]x[/bold]\n"


def test_colours_are_left_out_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """And NO_COLOR is obeyed by rich itself."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run("config", "show").output


def test_consent_is_yes_or_an_answer_on_a_terminal() -> None:
    """Without either nothing is changed, and the exit code is 2."""
    require_consent("Really?", yes=True)
    with pytest.raises(CommandError) as refused:
        require_consent("Really?", yes=False)
    assert refused.value.exit_code == Exit.REFUSED


@pytest.mark.parametrize("reason", [*Reason, "event", "event.stale", "http.4xx.not_found", "task"])
def test_a_reason_of_death_is_no_reason_of_an_operator(reason: str) -> None:
    """Of every family there is: who means to filter by it must not replay everything else that matches."""
    refusal = run("dlq", "replay", "--all", "--reason", reason, "--yes", code=2).stderr
    assert "to filter by reason, use --died-of" in refusal


def test_success_needs_no_ending() -> None:
    """Any other code ends the command."""
    finish(Exit.DONE)
    with click.Context(main), pytest.raises(click.exceptions.Exit):
        finish(Exit.PARTIAL)


def test_the_settings_in_force_are_shown_with_their_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets masked; of a URL the place stays readable, whatever its password is made of."""
    monkeypatch.setenv("REVOKER_BROKER_URL", f"amqps://revoker:{MARKER}%2F%40x@broker.example.com:5671/vhost")
    shown = {each["name"]: each for each in json.loads(run("config", "show", "-o", "json").stdout)["items"]}
    assert shown["broker_url"]["value"] == "amqps://•••@broker.example.com:5671/vhost"
    assert shown["broker_url"]["from"] == "REVOKER_BROKER_URL"
    assert (shown["subject_key"]["value"], shown["retry.base"]["from"]) == ("•••", "default")
    assert MARKER not in run("config", "show").output


def test_the_settings_of_a_file_are_told_as_its(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A variable wins over the file, setting by setting."""
    (tmp_path / "r.toml").write_text('log_level = "DEBUG"\n[retry]\nbase = 2.0\ncap = 9.0\n')
    (tmp_path / "r.toml").chmod(0o600)
    monkeypatch.setenv("REVOKER_CONFIG_FILE", str(tmp_path / "r.toml"))
    monkeypatch.setenv("REVOKER_RETRY__CAP", "8")
    shown = {each["name"]: each for each in json.loads(run("config", "show", "-o", "json").stdout)["items"]}
    assert [shown[name]["value"] for name in ("log_level", "retry.base", "retry.cap")] == ["DEBUG", "2.0", "8.0"]
    assert [Path(shown[name]["from"]).name for name in ("log_level", "retry.base")] == ["r.toml", "r.toml"]
    assert shown["retry.cap"]["from"] == "REVOKER_RETRY__CAP"


def test_a_key_is_made_listed_and_exported_without_its_private_half(tmp_path: Path) -> None:
    """The folder is the owner's alone; producers get the newest first."""
    for kid in ("old", "new"):
        run("keys", "generate", "--kid", kid)
    exported = json.loads(run("keys", "export").stdout)["keys"]
    listed = json.loads(run("keys", "list", "-o", "json").stdout)["items"]
    assert [key["kid"] for key in exported] == [key["kid"] for key in listed] == ["new", "old"]
    assert not [key for key in exported if "d" in key]
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert {each["algorithm"] for each in listed} == {"ECDH-ES+A256KW"}


def test_a_key_is_never_overwritten() -> None:
    """Dead letters may still need the old one."""
    run("keys", "generate", "--kid", "k1")
    assert "exists already" in run("keys", "generate", "--kid", "k1", code=1).stderr


def test_a_key_is_on_x25519_and_another_curve_can_be_had() -> None:
    """P-256 is for producers whose library has no X25519; RSA has no curve."""
    for kid, options in (("k1", ()), ("k2", ("--curve", "P-256")), ("k3", ("--curve", "X25519"))):
        run("keys", "generate", "--kid", kid, *options)
    exported = json.loads(run("keys", "export").stdout)["keys"]
    assert [(key["kty"], key["crv"]) for key in exported] == [("OKP", "X25519"), ("EC", "P-256"), ("OKP", "X25519")]
    refused = run("keys", "generate", "--algorithm", "RSA-OAEP-256", "--curve", "P-256", code=Exit.FAILED)
    assert "on X25519 or P-256" in refused.stderr


def test_an_rsa_key_can_be_had() -> None:
    """For producers that cannot do elliptic curves."""
    made = json.loads(run("keys", "generate", "--algorithm", "RSA-OAEP-256", "-o", "json").stdout)
    assert (made["algorithm"], len(made["fingerprint"])) == ("RSA-OAEP-256", 43)


def test_the_worker_is_celerys_own_with_our_flags() -> None:
    """A node name that no earlier start had, no chatter between workers; how tasks are run is left to the settings."""
    arguments = celery_arguments()
    assert {"--without-gossip", "--without-mingle", "--hostname"} <= set(arguments)
    assert not {"--concurrency", "--pool"} & set(arguments)


@pytest.mark.parametrize("algorithm", ["Ed25519", "HS256"])
def test_a_signing_key_is_made_for_its_owner_and_only_its_public_half_is_shown(tmp_path: Path, algorithm: str) -> None:
    """What is printed goes into the source's keys; a shared secret is not printed at all, and none is overwritten."""
    path = tmp_path / "sessions.jwk"
    made = run("keys", "generate-signing", str(path), "--algorithm", algorithm)
    assert path.stat().st_mode & 0o777 == 0o600
    private = json.loads(path.read_text())
    assert private.get("d", private.get("k")) not in made.output
    if algorithm == "Ed25519":
        [public] = json.loads(made.stdout)["keys"]
        assert (public["kid"], public["x"]) == ("sessions", private["x"])
    run("keys", "generate-signing", str(path), code=Exit.FAILED)
    assert json.loads(path.read_text()) == private
