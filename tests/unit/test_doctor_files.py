"""Keys, files, ledger and redaction as the doctor sees them: both verdicts of each, on real files."""

import json
import logging
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from tasks.sealing import generate_key, save_key
from worker.database.revisions import known_revisions
from worker.database.sqlite_file import connect_read_only
from worker.intake.signing import generate_signing_key, save_signing_key
from worker.ledger import Ledger
from worker.observability import sentry
from worker.operations.doctor import Finding, files, keys, ledger, redaction
from worker.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of an embedded installation with a source that signs."""
    monkeypatch.chdir(tmp_path)
    document = tmp_path / "revoker.toml"
    document.write_text(
        f"""
broker_url = "embedded:///{tmp_path}/broker.sqlite3"
ledger_url = "sqlite:///{tmp_path}/ledger.sqlite3"
keys_dir = "{tmp_path}/keys"
subject_key = "planted-subject-key-of-thirty-two-characters"

[sources.job]
source = "urn:test:job"
keys = "{tmp_path}/job.jwks.json"
"""
    )
    document.chmod(0o600)
    monkeypatch.setenv("REVOKER_CONFIG_FILE", str(document))
    (tmp_path / "keys").mkdir(mode=0o700)
    save_key(tmp_path / "keys", generate_key("one"))
    key = generate_signing_key("job")
    save_signing_key(tmp_path / "job.jwk", key)
    (tmp_path / "job.jwks.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    (tmp_path / "job.jwks.json").chmod(0o644)
    return Settings.load()


def faults(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """The check and the state of each that is not ok."""
    return [(each.check, each.state) for each in findings if each.state != "ok"]


def test_a_sealing_key_opens_what_it_seals_unless_it_is_open_to_others(settings: Settings) -> None:
    """Or there is none."""
    assert faults(keys.examine_sealing(settings)) == []
    [file] = settings.keys_dir.iterdir()
    file.chmod(0o644)
    assert faults(keys.examine_sealing(settings)) == [("keys.sealing", "failed")]
    file.unlink()
    assert faults(keys.examine_sealing(settings)) == [("keys.sealing", "failed")]


def test_a_sources_keys_are_there_public_and_written_by_nobody_else(settings: Settings, tmp_path: Path) -> None:
    """Whoever may write them can speak as the source; a private half there is the producer's mistake."""
    file = tmp_path / "job.jwks.json"
    assert faults(keys.examine_sources(settings)) == []
    file.chmod(0o666)
    assert faults(keys.examine_sources(settings)) == [("keys.signing", "failed")]
    file.write_bytes((tmp_path / "job.jwk").read_bytes())
    file.chmod(0o600)
    [found, _] = keys.examine_sources(settings)
    assert (found.state, found.about) == ("failed", "job")
    assert "private" in found.detail
    file.unlink()
    assert faults(keys.examine_sources(settings)) == [("keys.signing", "failed")]


def test_secrets_in_a_file_that_others_read_are_named_and_not_shown(settings: Settings, tmp_path: Path) -> None:
    """So are files that everybody can write, and a ledger that others can read."""
    assert faults(files.examine_modes(settings)) == []
    (tmp_path / "revoker.toml").chmod(0o646)
    (tmp_path / "ledger.sqlite3").touch(mode=0o644)
    found = list(files.examine_modes(settings))
    assert faults(found) == [("files.modes", "failed")] * 3
    assert "subject_key" in found[0].detail
    assert "planted-subject-key" not in repr(found)


def test_the_ledgers_schema_is_absent_behind_current_or_ahead(settings: Settings, tmp_path: Path) -> None:
    """Of a revision that no release before this one had, this command is too old."""
    [missing] = ledger.examine(settings)
    assert (missing.check, missing.state) == ("ledger.connection", "failed")
    with closing(Ledger.open(settings.ledger_url.get_secret_value())) as opened:
        opened.upgrade()
    assert faults(ledger.examine(settings)) == []
    for revision, word in (("9999", "ahead"), (None, "none")):
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as db, db:
            db.execute(
                "UPDATE ledger_version SET version_num = ?" if revision else "DROP TABLE ledger_version",
                (revision,) if revision else (),
            )
        [_, found] = ledger.examine(settings)
        assert (found.check, found.state) == ("ledger.schema", "failed")
        assert word in found.detail


def test_a_schema_of_an_older_release_is_behind(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names both revisions, and the command that brings it up to date."""
    with closing(Ledger.open(settings.ledger_url.get_secret_value())) as opened:
        opened.upgrade()
    monkeypatch.setattr(ledger, "known_revisions", lambda: [*known_revisions(), "9999"])
    [_, found] = ledger.examine(settings)
    assert (found.state, found.detail) == ("failed", f"behind: revision {known_revisions()[-1]}, this release has 9999")
    assert "revoker ledger upgrade" in found.advice


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of *folder* with what is in it; the index of a log in use is not data."""
    return {each.name: each.read_bytes() for each in folder.iterdir() if not each.name.endswith("-shm")}


def _reads(path: Path) -> int:
    with closing(connect_read_only(path, 1.0)) as db:
        (count,) = db.execute("SELECT count(*) FROM t").fetchone()
    return int(count)


def test_a_file_that_is_read_gets_no_log_beside_it_and_keeps_the_one_it_has(tmp_path: Path) -> None:
    """Whether it is in use, at rest, or was left by a process that was killed."""
    path, crashed = tmp_path / "used" / "file.sqlite3", tmp_path / "crashed"
    path.parent.mkdir()
    crashed.mkdir()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1);")
        before = tree(path.parent)
        assert _reads(path) == 1
        assert tree(path.parent) == before
        for each in path.parent.iterdir():
            (crashed / each.name).write_bytes(each.read_bytes())
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    for folder in (path.parent, crashed):
        before = tree(folder)
        assert _reads(folder / path.name) == 1
        assert tree(folder) == before


def test_the_planted_token_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    """In the log as in a report; and the canary says so to nobody but the doctor."""
    assert faults([*redaction.examine_logs(), *redaction.examine_reports()]) == []
    assert caplog.records == []


class _Leaking(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return repr(vars(record))


def test_a_leak_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary is none if it never sings; a report that is not sent is a fault, too."""
    for form in ("JsonLines", "HumanLines"):
        with monkeypatch.context() as patch:
            patch.setattr(redaction, form, _Leaking)
            assert faults(redaction.examine_logs()) == [("redaction.logs", "failed")], form
    for leak in (lambda event, _hint: event, lambda _event, _hint: None):
        monkeypatch.setattr(sentry, "before_send", leak)
        [found] = redaction.examine_reports()
        assert found.state == "failed"
        assert "canary" not in found.text
