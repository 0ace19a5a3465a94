"""Jobs in the ledger, on each database: planned once, taken by one at a time, and no row twice whoever is killed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from ledger_figures import audits
from ledger_jobs import EVERY, claimed, fates, job_of, step_of, taken
from ledger_records import START, after, dead, entry, outcome, refused
from replay_desk import SECRET
from sqlalchemy import update

from tasks.outcome import State
from worker.database.tables import dead_letters
from worker.ledger import DeadLetterState, Fate, Job, JobAmbiguous, JobNotFound, JobState, Ledger
from worker.ledger.job_rows import plan_hash, planned_letter
from worker.ledger.jobs import forget

pytest_plugins = ["ledger_fixtures"]

FIRST, SECOND = dead("e1").dead_letter_id, dead("e2").dead_letter_id


@pytest.fixture
def job(ledger: Ledger) -> Job:
    """A job of two dead calls, which a runner named first has."""
    ledger.record([dead("e1"), dead("e2", at=10)])
    return taken(ledger, job_of(ledger))


def state_of(ledger: Ledger, letter_id: str = FIRST) -> DeadLetterState:
    """How a dead letter stands."""
    return ledger.dead_letter(letter_id).state


def test_a_plan_keeps_what_was_read_first_and_only_once(ledger: Ledger) -> None:
    """What dies again while it is planned is met twice."""
    ledger.record([dead("e1"), dead("e2")])
    made = job_of(ledger)
    [row, _] = ledger.dead_letters(EVERY)
    ledger.add_to_job(made.job_id, [planned_letter(replace(row, replays=7), 9)])
    assert [(each.position, each.replays) for each in ledger.job_letters(made.job_id, 9)] == [(0, 0), (1, 0)]
    assert ledger.job(made.job_id) == made
    assert plan_hash(SECRET, made, ledger.job_letters(made.job_id, 9)) == made.hash


def test_a_job_is_found_by_a_unique_beginning_of_its_id(ledger: Ledger) -> None:
    """Newest first in the list; a plan that was not completed is in none, and can be dropped."""
    older, newer = (job_of(ledger, planned_at=after(at)) for at in (1, 2))
    assert [each.job_id for each in ledger.jobs(9)] == [newer.job_id, older.job_id]
    assert ledger.jobs(9, [JobState.DONE]) == []
    for beginning in ("zz", ""):
        with pytest.raises(JobNotFound):
            ledger.job(beginning)
    ledger.create_job(replace(older, job_id=f"{older.job_id}-2", hash=""))
    with pytest.raises(JobAmbiguous):
        ledger.job(older.job_id)
    ledger.drop_job(f"{older.job_id}-2")
    ledger.drop_job(newer.job_id)
    assert len(ledger.jobs(9)) == 2, "what is complete is dropped by nobody"


def test_of_two_who_take_a_job_one_gets_it(ledger: Ledger, ledger_url: str) -> None:
    """Both saw the same; the times that they compare are the same on the way out as on the way in."""
    seen = job_of(ledger)

    def take(runner: str) -> bool:
        own = Ledger.open(ledger_url, audit_secret=SECRET)
        try:
            return own.take_job(seen, runner, entry(), lambda _: None)
        finally:
            own.close()

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(take, "abcd")) == [False, False, False, True]
    assert len(audits(ledger)) == 1
    again = ledger.job(seen.job_id)
    assert ledger.take_job(again, "e", entry(), lambda _: None), "who looked a moment ago may take it from a dead one"


def test_a_step_is_claimed_and_marked(ledger: Ledger, job: Job) -> None:
    """Each row in one transaction with its fate; the claim carries the job's audit id."""
    step = claimed(ledger, job)
    assert step is not None
    assert [row.dead_letter_id for row in step.claimed] == [FIRST, SECOND]
    assert {(row.state, row.audit_id) for row in step.claimed} == {("claimed", job.audit.audit_id)}
    ledger.mark_step(job, "first", {FIRST: 1}, {SECOND: (Fate.NOT_PUBLISHED, "no route")})
    assert fates(ledger, job) == {FIRST: ("replayed", ""), SECOND: ("not_published", "no route")}
    assert (state_of(ledger, FIRST), state_of(ledger, SECOND)) == ("replayed", "dead")


def test_who_no_longer_runs_a_job_gets_no_step_and_gives_no_claim_back(ledger: Ledger, job: Job) -> None:
    """It stood still for a while, and woke up: the next runner has its claims."""
    assert claimed(ledger, job)
    second = taken(ledger, job, "second")
    assert claimed(ledger, job) is None
    assert not ledger.renew_job(job.job_id, "first")
    assert claimed(ledger, second, "second")
    ledger.mark_step(job, "first", {}, {FIRST: (Fate.NOT_PUBLISHED, "")})
    assert state_of(ledger) == "claimed"
    ledger.leave_job(job.job_id, "first", "it ended", entry())
    assert (ledger.job(job.job_id).runner, ledger.job(job.job_id).state) == ("second", JobState.RUNNING)


@pytest.mark.parametrize("what", ["claimed", "published", "answered", "died"])
def test_the_next_runner_goes_on_where_the_last_one_was_killed(ledger: Ledger, job: Job, what: str) -> None:
    """Claimed and not marked: it goes out (again), unless the ledger has news of it. No fate is lost, none doubled."""
    assert claimed(ledger, job)
    if what == "answered":
        ledger.record([outcome(State.ACCEPTED, "e1", at=70, replays=1)])
    elif what == "died":
        ledger.record([dead("e1", at=70, replays=1)])
    second = taken(ledger, job, "second")
    step = claimed(ledger, second, "second")
    assert step is not None
    sent = [] if what in {"answered", "died"} else [FIRST]
    assert [row.dead_letter_id for row in step.claimed] == [*sent, SECOND]
    ledger.mark_step(second, "second", dict.fromkeys([*sent, SECOND], 1), {})
    ledger.mark_step(job, "first", {FIRST: 1, SECOND: 1}, {})
    assert fates(ledger, job)[FIRST][0] == ("died" if what == "died" else "replayed")
    assert fates(ledger, job)[SECOND] == ("replayed", "")
    assert state_of(ledger) == ("dead" if what == "died" else "replayed")


def test_what_changed_since_it_was_planned_is_left_out_and_said(ledger: Ledger) -> None:
    """Died again, discarded, forgotten, refused by now, or had by another replay; the rest is claimed."""
    ledger.record([dead(f"e{number}", at=number) for number in range(7)])
    ids = [row.dead_letter_id for row in ledger.dead_letters(EVERY)]
    planned = taken(ledger, job_of(ledger))
    ledger.record([dead("e0", at=70, replays=1), dead("e1", "net.tls", at=71)])
    ledger.discard([ids[2]], audit=entry("discard"))
    ledger.claim([ids[3]], audit=entry())
    ledger.claim([ids[4]], audit=entry())
    ledger.mark_replayed({ids[4]: 1})
    step = claimed(ledger, planned, **{ids[5]: "superseded"})
    assert step is not None
    assert fates(ledger, planned) == {
        ids[0]: ("changed", "died_again"),
        ids[1]: fates(ledger, planned)[ids[1]],
        ids[2]: ("changed", "discarded"),
        ids[3]: ("taken", ""),
        ids[4]: ("taken", ""),
        ids[5]: ("changed", "superseded"),
        ids[6]: ("planned", ""),
    }
    assert ids[6] in {row.dead_letter_id for row in step.claimed}


def test_what_was_claimed_and_is_refused_by_now_is_free_again(ledger: Ledger, job: Job) -> None:
    """The last runner was killed with the claim; nobody has to wait for its lease."""
    assert claimed(ledger, job)
    second = taken(ledger, job, "second")
    assert claimed(ledger, second, "second", **{FIRST: "too_old"})
    assert (state_of(ledger, FIRST), state_of(ledger, SECOND)) == ("dead", "claimed")


@pytest.mark.parametrize("after_", [JobState.PAUSED, JobState.STOPPED])
def test_a_job_that_is_halted_gives_no_other_step(ledger: Ledger, job: Job, after_: JobState) -> None:
    """Its runner says good-bye, and does not change how it stands; the audit counts each row once."""
    claimed(ledger, job)
    ledger.mark_step(job, "first", {FIRST: 1}, {})
    assert ledger.halt_job(job.job_id, [JobState.RUNNING], after_, replace(entry("job.pause"), actor="otto"))
    assert not ledger.halt_job(job.job_id, [JobState.RUNNING], after_, entry())
    assert claimed(ledger, job) is None
    ledger.mark_step(job, "first", {SECOND: 1}, {})
    ledger.leave_job(job.job_id, "first", "halted", job.audit)
    now = ledger.job(job.job_id)
    assert (now.state, now.why, now.runner) == (after_, "by otto", None)
    assert sorted((each.action, each.count) for each in audits(ledger)) == [("job.pause", 1), ("replay", 1)]


def test_a_run_that_ends_leaves_the_job_done_or_paused(ledger: Ledger, job: Job) -> None:
    """Done only where nothing is left; what could not be published is, and gets another try."""
    claimed(ledger, job)
    ledger.mark_step(job, "first", {FIRST: 1}, {SECOND: (Fate.NOT_PUBLISHED, "")})
    ledger.leave_job(job.job_id, "first", "1 could not be published", job.audit)
    assert ledger.job(job.job_id).state is JobState.PAUSED
    taken(ledger, job, "second")
    assert [each.dead_letter_id for each in step_of(ledger, job)] == [SECOND]
    claimed(ledger, job, "second")
    ledger.mark_step(job, "second", {SECOND: 1}, {})
    ledger.leave_job(job.job_id, "second", "", job.audit)
    assert ledger.job(job.job_id).state is JobState.DONE
    assert sum(each.count for each in audits(ledger)) == 2


def test_a_job_tells_what_became_of_its_letters(ledger: Ledger, job: Job) -> None:
    """Also of those of which nobody who ran it was there to see it; in groups, and one by one for who watches."""
    claimed(ledger, job)
    ledger.mark_step(job, "first", {FIRST: 1, SECOND: 1}, {})
    assert ledger.job_news(job.job_id) == {}
    ledger.record([outcome(State.ACCEPTED, "e1", at=70, replays=1), dead("e2", at=70, replays=1)])
    assert ledger.job_news(job.job_id) == {FIRST: Fate.SETTLED, SECOND: Fate.DIED}
    told = [(each.provider, each.reason, each.fate, each.count) for each in ledger.job_groups(job.job_id)]
    assert sorted(told) == [("genesys", "http.5xx", "died", 1), ("genesys", "http.5xx", "settled", 1)]
    ledger.settle_step(job.job_id, ledger.job_news(job.job_id))
    assert ledger.job_news(job.job_id) == {}
    assert sorted(each.fate for each in ledger.job_groups(job.job_id)) == ["died", "settled"]
    assert ledger.job_counts([job.job_id]) == {job.job_id: {Fate.DIED: 1, Fate.SETTLED: 1}}


def test_the_hash_covers_the_plan_and_not_how_far_the_job_got(ledger: Ledger, job: Job) -> None:
    """Which rows, as they were, in which order, at which pace, on whose behalf; and nobody else can make it."""
    before = ledger.job_letters(job.job_id, 9)
    claimed(ledger, job)
    ledger.mark_step(job, "first", {FIRST: 1}, {})
    assert plan_hash(SECRET, ledger.job(job.job_id), ledger.job_letters(job.job_id, 9)) == job.hash
    others = [
        (job, before[:1]),
        (job, before[::-1]),
        (job, [replace(before[0], fingerprint="0"), before[1]]),
        (job, [replace(before[0], fate=Fate.REFUSED, why="too_old"), before[1]]),
        (replace(job, pace=replace(job.pace, rate=51.0)), before),
        (replace(job, is_judged=False), before),
        (replace(job, audit=replace(job.audit, reason="another")), before),
    ]
    assert job.hash not in {plan_hash(SECRET, *each) for each in others}
    assert plan_hash(b"another", job, before) != job.hash


def test_an_old_job_is_forgotten_in_steps(ledger: Ledger) -> None:
    """Nobody touched it for as long as closed letters are kept; its letters stay as they are."""
    ledger.record([dead("e1"), dead("e2"), refused("e3")])
    old, young = job_of(ledger, at=START), job_of(ledger, at=after(100))
    with ledger.database.writing() as connection:
        assert [forget(connection, after(50), 2) for _ in range(3)] == [2, 2, 0]
    assert [each.job_id for each in ledger.jobs(9)] == [young.job_id]
    assert ledger.job_letters(old.job_id, 9) == []
    assert len(ledger.job_letters(young.job_id, 9)) == len(ledger.dead_letters()) == 3


def test_a_claim_that_lapsed_can_be_planned_and_taken(ledger: Ledger) -> None:
    """What another replay left behind when it was killed."""
    ledger.record([dead("e1")])
    ledger.claim([FIRST], audit=entry())
    planned = taken(ledger, job_of(ledger))
    with ledger.database.writing() as connection:
        connection.execute(update(dead_letters).values(claimed_at=START))
    step = claimed(ledger, planned)
    assert step is not None
    assert [row.dead_letter_id for row in step.claimed] == [FIRST]
