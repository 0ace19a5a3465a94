"""Four eyes: who planned a large release or replay may not run it; another operator does, by either face."""

from datetime import UTC, datetime, timedelta

import pytest
from cli_installation import Installation
from console_browser import Start
from ledger_figures import audits
from replay_desk import dead_call
from sqlalchemy import update
from test_cli_flood import held, opened
from test_console import confirmed

from worker.database.tables import jobs as jobs_table
from worker.ledger import DeadLetterState, JobState
from worker.operations.four_eyes import LIFETIME, is_same_person
from worker.operations.jobs import find

pytest_plugins = ["console_fixtures"]

WHY = ("--reason", "the feed is right", "--yes")


@pytest.fixture
def asked(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a release of four that olga planned on the command line, and could not run."""
    installation.set("four_eyes", '{"release": 2, "replay": 3}')
    installation.desk.fill(*[held(number) for number in range(4)])
    opened(installation)
    monkeypatch.setattr("getpass.getuser", lambda: "olga")
    refused = installation.run("flood", "release", "--all", *WHY, code=2)
    [listed] = find(installation.desk.ledger, [JobState.PLANNED])
    assert "4 need a second operator, who is asked for now; anybody but you: revoker dlq jobs resume" in refused.stderr
    return listed.job.job_id


def states(installation: Installation) -> set[DeadLetterState]:
    """How the dead letters stand."""
    return {row.state for row in installation.desk.fill()}


async def test_what_one_asks_for_another_one_runs(installation: Installation, console: Start, asked: str) -> None:
    """The first page shows it; olga may not run it at the console either, and boris does; both names are on record."""
    assert states(installation) == {DeadLetterState.WITHHELD}
    olga = await console(name="olga")
    assert "For a second operator" in (await olga.get("/")).text
    plan = await olga.post("/plan/job", [("job", asked), ("verb", "resume")])
    assert "anybody but olga@" in plan.text
    mine = await confirmed(olga, plan)
    assert "4 need a second operator" in mine.page.one("p", class_="fault").text
    assert states(installation) == {DeadLetterState.WITHHELD}
    boris = await console(name="boris")
    done = await confirmed(boris, await boris.post("/plan/job", [("job", asked), ("verb", "resume")]))
    assert not done.page.all("p", class_="fault")
    assert states(installation) == {DeadLetterState.REPLAYED}
    assert "For a second operator" not in (await (await console(name="ada")).get("/")).text
    ledger = installation.desk.ledger
    [request] = [each for each in audits(ledger) if each.action == "job.ask"]
    begun = next(each for each in audits(ledger) if each.action == "guard.release")
    assert (request.actor.partition("@")[0], begun.actor) == ("olga", "boris")
    assert "planned by olga@" in begun.plan


def test_who_asked_may_take_it_back(installation: Installation, asked: str) -> None:
    """Then nobody runs it."""
    installation.run("dlq", "jobs", "stop", asked, *WHY)
    assert "stopped" in installation.run("dlq", "jobs", "resume", asked, *WHY, code=2).stderr


def test_a_plan_that_waited_too_long_is_planned_anew(
    installation: Installation, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was read for may be another thing by now."""
    with installation.desk.ledger.database.writing() as connection:
        connection.execute(update(jobs_table).values(planned_at=datetime.now(UTC) - LIFETIME - timedelta(seconds=1)))
    monkeypatch.setattr("getpass.getuser", lambda: "boris")
    assert "plan it anew" in installation.run("dlq", "jobs", "resume", asked, *WHY, code=2).stderr


def test_a_small_replay_needs_nobody_else(installation: Installation) -> None:
    """And by default none does."""
    installation.desk.fill(dead_call(), dead_call())
    installation.set("four_eyes", '{"replay": 3}')
    installation.run("dlq", "replay", "--all", *WHY)
    assert states(installation) == {DeadLetterState.REPLAYED}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("olga", "olga@desk-1", True), ("Olga@example.com", "olga", True), ("olga", "boris@desk-1", False)],
)
def test_a_person_has_one_name_on_both_faces(one: str, other: str, *, same: bool) -> None:
    """What stands before the @: two who share it cannot run each other's plans, and that is the safe side."""
    assert is_same_person(one, other) is same
