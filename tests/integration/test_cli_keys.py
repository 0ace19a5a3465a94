"""`revoker keys`: what still needs a key, and the way of a key that nothing needs any more."""

import uuid
from datetime import UTC, datetime

import pytest
from cli_installation import Installation
from ledger_figures import audits
from replay_desk import dead_call

from tasks.outcome import State
from tasks.providers import finbourne
from tasks.records import EventPlanned, PlannedUnit
from tasks.sealing import load_keys, seal
from worker.calls.key_uses import note_uses
from worker.ledger import AuditEntry

pytest_plugins = ["cli_fixtures"]

WHY = ("--reason", "rotation of 2026")


@pytest.fixture
def keys(installation: Installation) -> Installation:
    """An installation with the keys `old` and `new`, whose longest budget is over in no time."""
    for kid in ("old", "new"):
        installation.run("keys", "generate", "--kid", kid)
    for lane in ("routine", "urgent"):
        installation.set(f"retry__{lane}_budget", "0.001")
    return installation


def serving(keys: Installation) -> tuple[str, ...]:
    """The keys that a worker would read."""
    return load_keys(keys.home / "keys").kids


def sealed(keys: Installation) -> str:
    """A credential that only the key `old` opens."""
    [old] = [each for each in load_keys(keys.home / "keys")._keys.values() if each.kid == "old"]
    return seal("a-token", "finbourne", old)


def changes(keys: Installation) -> list[AuditEntry]:
    """What the audit tells of these keys, newest first, but for that they were made."""
    return [each for each in audits(keys.desk.ledger) if each.action != "keys.generate"]


def plan(keys: Installation) -> None:
    """Have a call under way that needs the key `old`."""
    now = datetime.now(UTC)
    unit = PlannedUnit(
        call_id=str(uuid.uuid4()),
        provider="finbourne",
        operation=finbourne.INVALIDATE_TOKEN,
        state=State.PLANNED,
        kid="old",
    )
    told = {"source": "urn:test", "event_id": "e1", "event_type": "session.ended", "subject": "a***"}
    keys.desk.ledger.record([EventPlanned(**told, occurred_at=now, received_at=now, units=(unit,))])


def test_a_key_that_nothing_needs_is_moved_aside_and_comes_back(keys: Installation) -> None:
    """Each change has a line in the audit; a worker reads what lies in the folder itself."""
    done = keys.json("keys", "retire", "old", *WHY, "--yes")
    assert serving(keys) == ("new",)
    assert (keys.home / "keys/retired/old.jwk.json").stat().st_mode & 0o777 == 0o600
    keys.run("keys", "restore", "old", *WHY, "--yes")
    assert serving(keys) == ("new", "old")
    restored, retired = changes(keys)
    assert (retired.audit_id, retired.action, retired.scope) == (done["audit_id"], "keys.retire", "old")
    assert (restored.action, restored.reason, restored.result, restored.count) == ("keys.restore", WHY[1], "done", 1)


def test_a_key_that_a_dead_letter_needs_is_not_retired(keys: Installation) -> None:
    """Its replay could never be opened."""
    keys.desk.fill(dead_call(jwe=sealed(keys)))
    said = keys.run("keys", "retire", "old", *WHY, "--yes", code=2).stderr
    assert "1 dead letter." in said
    assert serving(keys) == ("new", "old")
    assert not changes(keys)


def test_a_key_that_a_queued_call_needs_is_not_retired(keys: Installation) -> None:
    """Held or delayed for however long: the ledger knows of it since it was planned."""
    plan(keys)
    assert "1 call." in keys.run("keys", "retire", "old", *WHY, "--yes", code=2).stderr
    assert serving(keys) == ("new", "old")


def test_a_key_that_was_in_use_lately_is_not_retired(keys: Installation) -> None:
    """For the longest budget after its last use an event that needs it may be on its way."""
    note_uses(keys.desk.ledger.database, {"old": datetime.now(UTC)})
    keys.set("retry__urgent_budget", "7200")
    assert "events, for 1h5" in keys.run("keys", "retire", "old", *WHY, "--yes", code=2).stderr
    assert serving(keys) == ("new", "old")


def test_a_key_is_retired_by_nobody_who_did_not_mean_it(keys: Installation) -> None:
    """A dry run changes nothing; without a reason, a terminal or --yes nothing is changed either."""
    assert "would be moved" in keys.run("keys", "retire", "old", *WHY, "--dry-run").stderr
    keys.run("keys", "retire", "old", *WHY, code=2)
    keys.run("keys", "retire", "old", "--yes", code=2)
    keys.run("keys", "retire", "other", *WHY, "--yes", code=2)
    assert serving(keys) == ("new", "old")


def test_the_only_key_is_not_retired(keys: Installation) -> None:
    """No worker would start."""
    keys.run("keys", "retire", "old", *WHY, "--yes")
    assert "the only key" in keys.run("keys", "retire", "new", *WHY, "--yes", code=2).stderr


def test_only_a_retired_key_is_destroyed_and_none_that_was_missed(keys: Installation) -> None:
    """Two steps: what was moved aside can be asked for again, what was destroyed cannot."""
    keys.run("keys", "retire", "old", *WHY, "--destroy", "--yes", code=2)
    letter = dead_call(jwe=sealed(keys))
    keys.run("keys", "retire", "old", *WHY, "--yes")
    keys.desk.fill(letter)
    keys.run("keys", "retire", "old", *WHY, "--destroy", "--yes", code=2)
    keys.run("dlq", "discard", "--all", *WHY, "--yes")
    keys.run("keys", "retire", "old", *WHY, "--destroy", "--yes")
    assert not list((keys.home / "keys/retired").iterdir())
    assert changes(keys)[0].action == "keys.destroy"


def test_the_list_tells_age_last_use_and_needs_in_80_columns(keys: Installation) -> None:
    """The retired ones come last; JSON tells each figure apart."""
    keys.desk.fill(dead_call(jwe=sealed(keys)))
    plan(keys)
    note_uses(keys.desk.ledger.database, {"old": datetime.now(UTC)})
    keys.run("keys", "retire", "new", *WHY, "--yes")
    listed = keys.run("keys", "list").stdout.splitlines()
    assert listed[0].split() == ["KID", "STATE", "AGE", "LAST", "USE", "NEEDED", "BY"]
    assert max(map(len, listed)) <= 80
    old, new = keys.json("keys", "list")["items"]
    assert (old["kid"], old["state"], old["dead_letters"], old["calls"]) == ("old", "serving", 1, 1)
    assert (new["kid"], new["state"], new["last_used"], new["needed_by"]) == ("new", "retired", None, [])


def test_without_a_ledger_the_list_says_so_and_nothing_is_retired(keys: Installation) -> None:
    """What is not known is not taken for free."""
    keys.set("ledger_url", f"sqlite:///{keys.home / 'none' / 'ledger.sqlite3'}")
    listed = keys.run("keys", "list")
    assert "not known" in listed.stderr
    assert "unknown" in listed.stdout
    keys.run("keys", "retire", "old", *WHY, "--yes", code=69)
    assert serving(keys) == ("new", "old")
