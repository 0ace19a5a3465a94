"""`revoker ledger prune`: what is over goes, in small steps, and never what waits for an operator."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from cli_installation import Installation
from ledger_figures import audits, totals
from ledger_records import START, dead, entry, outcome, planned, refused
from replay_desk import EVERY

from tasks.outcome import State
from worker.ledger import Operator, retention
from worker.operations import pruning
from worker.operations.replay import ReplayControls
from worker.settings import Settings

pytest_plugins = ["cli_fixtures"]
WHY = ("--reason", "disk is full", "--yes")


def settled(installation: Installation, *names: str, days: float = 10) -> None:
    """Have events be settled that many days ago."""
    at = (datetime.now(UTC) - timedelta(days=days) - START).total_seconds()
    for name in names:
        told = planned(name, received_at=START + timedelta(seconds=at))
        installation.desk.ledger.record([told, outcome(State.ACCEPTED, name, at=at)])


def closed(installation: Installation) -> None:
    """Have a letter be discarded, one replayed, one claimed, one held back and one dead; all died long ago."""
    ledger, ids = installation.desk.ledger, [f"e{number}" for number in range(5)]
    letters = [refused(each) for each in ids[:3]]
    ledger.record([*letters, refused("e3", reason="guard.flood"), dead("e4")])
    ledger.discard([letters[0].dead_letter_id], audit=entry())
    ledger.claim([each.dead_letter_id for each in letters[1:]], audit=entry())
    ledger.mark_replayed({letters[1].dead_letter_id: 1})


def left(installation: Installation) -> list[str]:
    """How the letters stand that are there."""
    return sorted(row.state.value for row in installation.desk.ledger.dead_letters(EVERY))


def test_what_is_old_goes_and_is_on_record(installation: Installation) -> None:
    """Events with their calls, by age; the plan, and how many it were."""
    settled(installation, "old-1", "old-2")
    settled(installation, "young", days=0)
    done = installation.json("ledger", "prune", "--older-than", "5d", *WHY)
    assert (done["schema"], done["removed"], done["stopped"]) == ("revoker.pruning/1", 2, None)
    assert totals(installation.desk.ledger).events == 1
    [found] = audits(installation.desk.ledger)
    assert (found.audit_id, found.action, found.count, found.reason) == (done["audit_id"], "ledger.prune", 2, WHY[1])
    assert found.plan == "2 events with their calls, 0 dead letters"
    assert found.scope.startswith("settled before ")
    assert found.result == "2 forgotten"


def test_without_a_span_the_settings_hold(installation: Installation) -> None:
    """What the recorder would forget by and by."""
    settled(installation, "old", days=100)
    settled(installation, "kept", days=10)
    installation.set("storage__events_days", "50")
    assert installation.json("ledger", "prune", *WHY)["removed"] == 1
    assert totals(installation.desk.ledger).events == 1


@pytest.mark.parametrize(
    ("states", "gone"), [((), ["discarded", "replayed"]), (("replayed",), ["replayed"]), (("settled",), [])]
)
def test_letters_go_by_state_and_never_what_waits(
    installation: Installation, states: list[str], gone: list[str]
) -> None:
    """Dead, claimed, held back: somebody has yet to look at it."""
    closed(installation)
    old = pruning.plan(Settings.load(), installation.desk.ledger, timedelta(seconds=-60), states)
    assert old.old.letters == len(gone)
    pruning.prune(installation.desk.ledger, old, Operator("olga", "full"), ReplayControls(sleep=lambda _: None))
    every = ["claimed", "dead", "discarded", "replayed", "withheld"]
    assert left(installation) == [state for state in every if state not in gone]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--reason", "full", "--dry-run"], 0, "would be forgotten: 1 events with their calls, 0 dead letters"),
        (["--reason", "full"], 2, "--yes is needed"),
        (["--yes"], 2, "--reason"),
        (["--reason", "full", "--yes", "--older-than", "soon"], 2, "--older-than"),
        (["--reason", "full", "--yes", "--state", "dead"], 2, "--state"),
        (["--reason", "full", "--yes", "--older-than", "20d"], 0, "nothing was changed: nothing is so old"),
    ],
)
def test_nothing_goes_by_accident(installation: Installation, options: list[str], code: int, said: str) -> None:
    """Not in a dry run, not without consent or a reason."""
    settled(installation, "old")
    span = [] if "--older-than" in options else ["--older-than", "5d"]
    assert said in installation.run("ledger", "prune", *span, *options, code=code).stderr
    assert totals(installation.desk.ledger).events == 1
    assert audits(installation.desk.ledger) == []


def test_a_dry_run_tells_programs_as_well(installation: Installation) -> None:
    """How many of what, and since when."""
    settled(installation, "old")
    told = installation.json("ledger", "prune", "--older-than", "5d", "--reason", "full", "--dry-run")
    assert (told["schema"], told["events"], told["letters"]) == ("revoker.pruning_plan/1", 1, 0)


def test_others_write_between_two_steps(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each step they have as long as it took: the recorder, which has no other time, gets its turn."""
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    settled(installation, *(f"e{number}" for number in range(7)))
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        """Write from elsewhere, at once or not at all."""
        pauses.append(seconds)
        other = sqlite3.connect(installation.home / "ledger.sqlite3", timeout=0, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
        other.close()

    ledger, steps = installation.desk.ledger, list[int]()
    old = pruning.plan(Settings.load(), ledger, timedelta(days=5))
    controls = ReplayControls(progress=steps.append, sleep=sleep)
    done = pruning.prune(ledger, old, Operator("olga", "full"), controls)
    assert (done.removed, sum(steps), len(pauses)) == (7, 7, len(steps))
    assert len(steps) >= 3
    assert min(pauses) >= pruning.MIN_PAUSE


def test_it_can_be_interrupted_after_a_step(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """What went is gone and on record; the same command does the rest."""
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    settled(installation, *(f"e{number}" for number in range(7)))
    ledger, steps = installation.desk.ledger, list[int]()
    controls = ReplayControls(steps.append, lambda: bool(steps), lambda _: None)
    old = pruning.plan(Settings.load(), ledger, timedelta(days=5))
    done = pruning.prune(ledger, old, Operator("olga", "full"), controls)
    assert (done.removed, done.stopped) == (7 - totals(ledger).events, "interrupted")
    assert 0 < done.removed < 7
    [found] = audits(ledger)
    assert (found.count, found.result) == (done.removed, f"{done.removed} forgotten; stopped: interrupted")
    assert installation.json("ledger", "prune", "--older-than", "5d", *WHY)["removed"] == 7 - done.removed
