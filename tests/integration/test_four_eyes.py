"""Four eyes: who planned a large release or replay may not run it; another operator does, by either face."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from cli_installation import Installation
from console_browser import Start
from console_plans import confirmed
from ledger_figures import audits
from replay_desk import dead_call
from sqlalchemy import update
from test_cli_flood import held, opened

from tasks.records import DeadLetter
from worker.database.tables import jobs as jobs_table
from worker.ledger import DeadLetterState, JobState, Operator
from worker.operations import RefusedRequest
from worker.operations.floods import standing
from worker.operations.four_eyes import LIFETIME, is_same_person
from worker.operations.jobs import JobStart, discard, find
from worker.operations.replay import ReplayControls, ReplaySettings
from worker.settings import Settings

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


@pytest.fixture
def to_discard(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a discard of three that olga asked for on the command line; one of them died again since."""
    installation.set("four_eyes", '{"discard": 3}')
    letters = [dead_call() for _ in range(3)]
    installation.desk.fill(*letters)
    monkeypatch.setattr("getpass.getuser", lambda: "olga")
    refused = installation.run("dlq", "discard", "--all", *WHY, code=2)
    [listed] = find(installation.desk.ledger, [JobState.PLANNED])
    assert "3 need a second operator, who is asked for now; anybody but you: revoker dlq jobs resume" in refused.stderr
    installation.desk.fill(died_again(letters[0]), dead_call())
    return listed.job.job_id


def died_again(letter: DeadLetter) -> DeadLetter:
    """It, after a replay."""
    call = letter.call
    assert call is not None
    return letter.model_copy(update={"replays": 1, "call": call.model_copy(update={"replays": 1})})


async def test_what_one_asks_to_discard_another_one_discards(
    installation: Installation, console: Start, to_discard: str
) -> None:
    """Exactly what the plan holds: what died again since stays and is told of, and what came later is no part of it."""
    olga = await console(name="olga")
    assert "may not discard it" in (await olga.get("/")).text
    form = [("job", to_discard), ("verb", "resume")]
    mine = await confirmed(olga, await olga.post("/plan/job", form), word="3")
    assert "3 need a second operator" in mine.page.one("p", class_="fault").text
    assert states(installation) == {DeadLetterState.DEAD}
    boris = await console(name="boris")
    done = await confirmed(boris, await boris.post("/plan/job", form), word="3")
    told = done.page.one("dl", class_="sum").text
    assert ("discarded2" in told, "left out: died_again1" in told) == (True, True)
    assert Counter(row.state for row in installation.desk.fill()) == {
        DeadLetterState.DISCARDED: 2,
        DeadLetterState.DEAD: 2,
    }
    assert "2 of 3 discarded" in (await boris.get(f"/jobs/{to_discard}")).text
    found = [each for each in audits(installation.desk.ledger) if each.action == "dead-letter.discard"]
    assert {each.actor for each in found} == {"boris"}
    assert all("planned by olga@" in each.plan for each in found)
    assert [each.result for each in found if each.count] == ["2 discarded, 1 left out"]


def test_a_discard_is_done_on_the_command_line_without_a_broker(
    installation: Installation, to_discard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody may have it replayed by mistake, and who asked may not discard it there either."""
    assert "anybody but you" in installation.run("dlq", "jobs", "resume", to_discard, *WHY, code=2).stderr
    monkeypatch.setattr("getpass.getuser", lambda: "boris")
    installation.set("broker_url", "amqp://operator:x@127.0.0.1:1//")
    done = installation.run("dlq", "jobs", "resume", to_discard, *WHY, code=3)
    assert ("discarded" in done.stdout, "replayed" in done.stdout) == (True, False)


def test_who_asked_to_discard_may_take_it_back(installation: Installation, to_discard: str) -> None:
    """Then nobody discards it."""
    installation.run("dlq", "jobs", "stop", to_discard, *WHY)
    assert "stopped" in installation.run("dlq", "jobs", "resume", to_discard, *WHY, code=2).stderr
    assert states(installation) == {DeadLetterState.DEAD}


def test_a_flood_is_discarded_by_two_and_lasts_until_then(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends when the second one begins."""
    installation.set("four_eyes", '{"discard": 4}')
    installation.desk.fill(*[held(number) for number in range(4)])
    opened(installation)
    monkeypatch.setattr("getpass.getuser", lambda: "olga")
    assert "4 need a second operator" in installation.run("flood", "discard", "--all", *WHY, code=2).stderr
    assert (states(installation), is_open(installation)) == ({DeadLetterState.WITHHELD}, True)
    [listed] = find(installation.desk.ledger, [JobState.PLANNED])
    monkeypatch.setattr("getpass.getuser", lambda: "boris")
    installation.run("dlq", "jobs", "resume", listed.job.job_id, *WHY)
    assert (states(installation), is_open(installation)) == ({DeadLetterState.DISCARDED}, False)


def is_open(installation: Installation) -> bool:
    """Whether a flood lasts."""
    return any(each.opened_at for each in standing(installation.desk.ledger))


def test_a_replay_is_never_run_as_a_discard(installation: Installation, asked: str) -> None:
    """What a job does stands in its plan."""
    ledger, of = installation.desk.ledger, ReplaySettings.of(Settings.load())
    start = JobStart(asked, ledger.job(asked).hash, Operator("boris", "a mistake"))
    with pytest.raises(RefusedRequest, match="have its dead letters replayed"):
        discard(of, ledger, start, ReplayControls())


def test_a_small_discard_needs_nobody_else(installation: Installation) -> None:
    """It is no job."""
    installation.desk.fill(dead_call(), dead_call())
    installation.set("four_eyes", '{"discard": 3}')
    installation.run("dlq", "discard", "--all", *WHY)
    assert (states(installation), find(installation.desk.ledger)) == ({DeadLetterState.DISCARDED}, [])


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
