"""`revoker dlq jobs`: which replays there are, how far each got, and how to pause, resume and stop one."""

from typing import Any

import pytest
from cli_installation import Installation
from ledger_figures import audits
from replay_desk import OLGA, dead_call, dead_unit

from worker.ledger import JobState
from worker.operations import jobs

pytest_plugins = ["cli_fixtures"]

CONSENT = "--yes"
WHY = ("--reason", "too fast", CONSENT)


def planned(installation: Installation) -> str:
    """The id of a job of two dead letters that nobody ran yet, of which a third was refused."""
    installation.desk.fill(dead_call(), dead_call(), dead_unit(kind="event", body=None))
    result = installation.run("dlq", "replay", "--all", "--canary", "1", "--wait", "0.01", "--rate", "10/s", code=2)
    assert "2 to replay, about 0s at 10/s, 1 of them first; refused: 1 not_stored" in result.stderr
    [job] = installation.json("dlq", "jobs", "list")["items"]
    assert f"job {job['job_id']}, plan {job['hash'][:16]}" in result.stderr
    found: str = job["job_id"]
    return found


def shown(installation: Installation, job_id: str) -> Any:
    """What `show` says of a job."""
    return installation.json("dlq", "jobs", "show", job_id[:6])


def test_a_plan_that_nobody_agreed_to_is_listed_and_can_be_run(installation: Installation) -> None:
    """Exactly what was read; nothing happened until then."""
    job_id = planned(installation)
    result = installation.run("dlq", "jobs", "list")
    header, row = result.stdout.splitlines()
    assert header.split() == ["JOB", "STATE", "AGE", "WHO", "OUT", "REMAIN", "RATE", "WHY"]
    assert row.split()[:2] == [job_id, "planned"]
    assert all(len(line) <= 80 for line in (header, row))
    assert result.stderr == "1 job\n"
    installation.desk.fill(dead_call())
    ended = installation.run("dlq", "jobs", "resume", job_id, "--reason", "looked at", CONSENT, code=3)
    assert "stopped: of the canary, 1 had not settled after 0.01 s" in ended.stderr
    assert len(installation.desk.replayed()) == 1


def test_a_job_shows_its_plan_and_what_became_of_it(installation: Installation) -> None:
    """In groups, and letter by letter; each plan has a hash."""
    installation.desk.fill(dead_call(), dead_call(), dead_unit(kind="event", body=None))
    done = installation.json("dlq", "replay", "--all", "--reason", "provider is back", CONSENT, code=3)
    job = shown(installation, done["job_id"])
    assert (job["schema"], job["state"], job["replayed"], job["remaining"]) == ("revoker.job/1", "done", 2, 0)
    assert (job["reason"], job["rate"], job["refused"], len(job["hash"])) == ("provider is back", 50.0, 1, 64)
    assert {"provider": "finbourne", "reason": "http.5xx", "fate": "replayed", "count": 2} in job["groups"]
    letters = installation.json("dlq", "jobs", "show", done["job_id"], "--letters")["items"]
    assert sorted((each["fate"], each["why"]) for each in letters) == [
        ("refused", "not_stored"),
        ("replayed", ""),
        ("replayed", ""),
    ]
    refused = installation.run("dlq", "jobs", "show", done["job_id"], "--letters", "--fate", "refused").stdout
    assert all(len(line) <= 80 for line in refused.splitlines())
    assert "not_stored" in refused
    assert len(refused.splitlines()) == 2


def test_a_job_that_stopped_itself_says_how_many_remain_and_how_to_go_on(installation: Installation) -> None:
    """The canary was not heard of; a resume begins with a canary again."""
    installation.desk.fill(dead_call(), dead_call(), dead_call())
    replay = ("dlq", "replay", "--all", "--canary", "1", "--wait", "0.01", CONSENT)
    result = installation.run(*replay, code=3)
    [job] = jobs.find(installation.desk.ledger)
    assert f"2 remain: revoker dlq jobs resume {job.job.job_id}" in result.stderr
    assert ["remaining", "2"] in [line.split() for line in result.stdout.splitlines()]
    again = installation.json("dlq", "jobs", "resume", job.job.job_id, CONSENT, code=3)
    assert (again["schema"], again["replayed"], again["remaining"]) == ("revoker.replay/1", 2, 1)


@pytest.mark.parametrize(("command", "state"), [("pause", JobState.PAUSED), ("stop", JobState.STOPPED)])
def test_a_job_is_halted_with_a_reason(installation: Installation, command: str, state: JobState) -> None:
    """Without one, or without consent, nothing changes; who and why is on record."""
    installation.desk.fill(dead_call())
    [job] = [installation.desk.planned(installation.desk.ledger.dead_letters())]
    assert job is not None
    assert installation.desk.ledger.take_job(job, "somebody", OLGA.entry("dead-letter.replay", "--all"), lambda _: None)
    installation.run("dlq", "jobs", command, job.job_id, CONSENT, code=2)
    installation.run("dlq", "jobs", command, job.job_id, "--reason", "too fast", code=2)
    installation.run("dlq", "jobs", command, job.job_id, *WHY, "--dry-run")
    assert shown(installation, job.job_id)["state"] == "running"
    done = installation.json("dlq", "jobs", command, job.job_id[:5], *WHY)
    assert (shown(installation, job.job_id)["state"], done["job_id"]) == (state, job.job_id)
    entry = next(each for each in audits(installation.desk.ledger) if each.audit_id == done["audit_id"])
    assert (entry.action, entry.scope, entry.reason) == (f"job.{command}", f"job {job.job_id}", "too fast")


def test_what_cannot_be_done_with_a_job_is_refused(installation: Installation) -> None:
    """Exit code 2, and how it stands; 1 for an id that is none."""
    installation.desk.fill(dead_call())
    done = installation.json("dlq", "replay", "--all", CONSENT)
    for command in ("pause", "stop"):
        assert "is done" in installation.run("dlq", "jobs", command, done["job_id"], *WHY, code=2).stderr
    assert "is done" in installation.run("dlq", "jobs", "resume", done["job_id"], CONSENT, code=2).stderr
    assert "no job has an id" in installation.run("dlq", "jobs", "show", "zz", code=1).stderr
    assert installation.json("dlq", "jobs", "list", "--state", "planned")["items"] == []
    assert "nothing matches" in installation.run("dlq", "jobs", "list", "--state", "paused").stderr
