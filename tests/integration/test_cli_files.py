"""`revoker dlq export`, `import` and `edit`: dead letters leave the ledger sealed, and only ours come back."""

import base64
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_installation import TOKEN, Installation
from ledger_figures import audits, totals
from replay_desk import EVERY, SEALED, as_made, audit, dead_call, dead_unit

from tasks.records import DeadLetter
from worker.broker import messages
from worker.broker.provenance import ProvenanceMac
from worker.intake.authorization import Authorizer
from worker.ledger import DeadLetterState, Ledger
from worker.settings import Settings
from worker.settings.sections import SourceSettings

pytest_plugins = ["cli_fixtures"]

WHY = ("--reason", "moved", "--yes")
HR = "urn:hr"


def exported(installation: Installation, *letters: DeadLetter) -> Path:
    """A file with *letters*, as `export` writes it."""
    installation.desk.fill(*letters)
    file = installation.home / "letters.jsonl"
    installation.run("dlq", "export", "--to", str(file))
    return file


def another_ledger(installation: Installation) -> Ledger:
    """An empty ledger in place of the installation's."""
    url = f"sqlite:///{installation.home / 'another.sqlite3'}"
    installation.set("ledger_url", url)
    opened = Ledger.open(url)
    opened.upgrade()
    return opened


def test_what_was_exported_is_the_same_on_another_desk(installation: Installation) -> None:
    """Whole, with what arrived, its tokens as sealed as they were; twice is once; a private file, never overwritten."""
    file = exported(installation, dead_call(), dead_unit(), dead_unit(kind="event", reason="event.invalid_time"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SEALED in file.read_text()
    assert "File exists" in installation.run("dlq", "export", "--to", str(file), code=1).stderr
    before = [row.letter for row in installation.desk.ledger.dead_letters(EVERY)]
    ledger = another_ledger(installation)
    done = installation.json("dlq", "import", str(file), *WHY)
    assert (done["schema"], done["imported"], done["known"], done["refused"]) == ("revoker.import/1", 3, 0, {})
    assert [row.letter for row in ledger.dead_letters(EVERY)] == before
    assert "0 to import, 3 known already" in installation.run("dlq", "import", str(file), *WHY).stderr
    [entry] = audits(ledger)
    assert (entry.action, entry.scope, entry.count) == ("dead-letter.import", "letters.jsonl", 3)
    assert installation.json("dlq", "replay", "--all", "--yes")["replayed"] == 3
    ledger.close()


def test_only_what_matches_is_exported(installation: Installation) -> None:
    """By the filters and states of `list`; all of it where no limit says otherwise."""
    installation.desk.fill(*(dead_call() for _ in range(101)), dead_unit(), dead_unit(provider="wibmo"))
    assert len(installation.run("dlq", "export").stdout.splitlines()) == 103
    lines = installation.run("dlq", "export", "--provider", "wibmo").stdout.splitlines()
    assert [json.loads(line)["letter"]["provider"] for line in lines] == ["wibmo"]
    assert "nothing matches" in installation.run("dlq", "export", "--state", "discarded").stderr
    installation.run("dlq", "export", "--cause", "none", "--fail-if-empty", code=4)


def test_what_no_process_of_ours_made_does_not_come_in(installation: Installation) -> None:
    """Changed in any field, or without a MAC: left out and said (exit code 3). What is known stays as it is."""
    file = exported(installation, dead_call(), dead_call())
    installation.desk.ledger.discard([installation.desk.ledger.dead_letters()[0].dead_letter_id], audit=audit())
    [first, second] = [json.loads(line) for line in file.read_text().splitlines()]
    first["letter"]["dead_letter_id"] = "00000000-0000-0000-0000-000000000000"
    del second["letter"]["mac"]
    file.write_text(file.read_text() + json.dumps(first) + "\n\n" + json.dumps(second) + "\n")
    result = installation.run("dlq", "import", str(file), *WHY, code=3)
    assert "0 to import, 2 known already" in result.stderr
    assert "refused: 1 altered" in result.stderr
    assert "refused: 1 not_vouched" in result.stderr
    assert sorted(row.state for row in installation.desk.ledger.dead_letters(EVERY)) == ["dead", "discarded"]


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b"not json",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"schema": "revoker.exported_dead_letter/1"}',
        b'{"schema": "revoker.exported_dead_letter/1", "letter": {"kind": "call"}}',
        b'{"schema": "revoker.exported_dead_letter/2", "letter": {}}',
        b'"' + b"x" * 2_000_000 + b'"',
    ],
)
def test_a_line_that_is_none_of_an_export_is_named_and_nothing_changes(installation: Installation, line: bytes) -> None:
    """By its number; never by what it holds."""
    file = exported(installation, dead_call())
    file.write_bytes(file.read_bytes() + line + b"\n")
    ledger = another_ledger(installation)
    assert "line 2 is no dead letter" in installation.run("dlq", "import", str(file), *WHY, code=2).stderr
    assert ledger.dead_letters(EVERY) == []
    ledger.close()


def wrong(**changed: Any) -> DeadLetter:
    """An event of the HR system whose clock was an hour ahead: refused, though HR was proved to say it."""
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    told = {"specversion": "1.0", "id": "hr-1", "source": HR, "type": "user.disabled", "time": at}
    event = told | {"data": {"sub_id": {"format": "opaque", "id": "ada"}}}
    body = base64.b64encode(json.dumps(event).encode()).decode()
    about = {"kind": "event", "provider": None, "source": HR, "event_id": "hr-1", "reason": "event.invalid_time"}
    return dead_unit(**about | {"body": body, "content_type": messages.CLOUDEVENTS_JSON, "headers": {}} | changed)


def corrected(installation: Installation, letter: DeadLetter, **changed: Any) -> Path:
    """A file with the event of *letter* as an operator corrects it."""
    event = json.loads(installation.run("dlq", "show", letter.dead_letter_id, "--event").stdout)
    file = installation.home / "event.json"
    file.write_text(json.dumps(event | {"time": datetime.now(UTC).isoformat()} | changed))
    return file


def test_a_corrected_event_takes_the_place_of_the_one_that_died(installation: Installation) -> None:
    """Another id, derived from the old one, believed as that was; the old one is given up, and says for which."""
    letter = wrong()
    installation.desk.fill(letter)
    installation.desk.authorizer = Authorizer({"hr": SourceSettings(source=HR, users=("hr",))}, proves_users=True)
    edit = ("dlq", "edit", letter.dead_letter_id[:8], "--file", str(corrected(installation, letter)))
    assert '"derivedfrom": "hr-1"' in installation.run(*edit, *WHY, "--dry-run").stdout
    done = installation.json(*edit, *WHY)
    installation.desk.take_in()
    assert totals(installation.desk.ledger).events == 1
    assert installation.desk.row(letter).state is DeadLetterState.DISCARDED
    [entry] = audits(installation.desk.ledger)
    assert (entry.action, entry.result) == ("dead-letter.edit", f"event {done['event_id']}")
    assert done["event_id"] != "hr-1"
    assert "it cannot be edited" in installation.run(*edit, *WHY, code=2).stderr


def test_the_same_correction_is_the_same_event(installation: Installation) -> None:
    """Killed between publish and discard it is made once more: the intake knows the second for a copy."""
    letter = wrong()
    installation.desk.fill(letter)
    file = corrected(installation, letter)
    edit = ("dlq", "edit", letter.dead_letter_id, "--file", str(file), *WHY, "--dry-run")
    first, second = (json.loads(installation.run(*edit).stdout) for _ in range(2))
    assert first == second
    file.write_text(file.read_text().replace("ada", "eve"))
    assert json.loads(installation.run(*edit).stdout)["id"] != first["id"]


def test_a_token_in_a_correction_is_sealed(installation: Installation) -> None:
    """It leaves the machine sealed, and stands in no output."""
    installation.run("keys", "generate")
    letter = wrong()
    installation.desk.fill(letter)
    sessions = [{"provider": "genesys", "credential": {"token": TOKEN}}]
    data = {"sub_id": {"format": "opaque", "id": "ada"}, "sessions": sessions}
    file = corrected(installation, letter, data=data)
    installation.run("dlq", "edit", letter.dead_letter_id, "--file", str(file), *WHY)
    [message] = installation.desk.events()
    assert TOKEN.encode() not in messages.body_of(message)
    assert ProvenanceMac.of(Settings.load()).verify(message).door == messages.DESK_DOOR


@pytest.mark.parametrize(
    ("letter", "changed", "said"),
    [
        (wrong(), {"source": "urn:finance"}, "source: a correction is told by the source"),
        (wrong(), {"time": "yesterday"}, "invalid_time at /time"),
        (wrong(unproved=True), {}, "nobody proved who said it"),
        (as_made(wrong()).model_copy(update={"reason": "event.stale"}), {}, "altered: it cannot be edited"),
    ],
)
def test_what_may_not_be_corrected_is_refused(
    installation: Installation, letter: DeadLetter, changed: dict[str, str], said: str
) -> None:
    """Another source's word, no event, a stranger's event, what somebody wrote into the ledger."""
    installation.desk.ledger.record([letter if letter.mac else as_made(letter)])
    file = corrected(installation, letter, **changed)
    result = installation.run("dlq", "edit", letter.dead_letter_id, "--file", str(file), *WHY, code=2)
    assert said in result.stderr
    assert (installation.desk.events(), installation.desk.row(letter).state) == ([], DeadLetterState.DEAD)


def test_a_call_has_no_event_to_correct(installation: Installation) -> None:
    """Its event is not kept: the producer sends another one."""
    letter = dead_call()
    installation.desk.fill(letter)
    assert "no event is kept" in installation.run("dlq", "show", letter.dead_letter_id, "--event", code=2).stderr
    file = installation.home / "event.json"
    file.write_text("{}")
    edit = ("dlq", "edit", letter.dead_letter_id, "--file", str(file), *WHY)
    assert "no event is kept" in installation.run(*edit, code=2).stderr
