"""A replay is a job: what runs is what was read, it can be paused, and kill -9 of who runs it repeats no row."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from killed_replay import PLACES
from killed_replays import Killed
from kombu.message import Message as Delivered
from ledger_figures import audits
from replay_desk import EVERY, MAX_AGES, Desk, audit, call_in, dead_call, dead_unit, told
from sqlalchemy import update

from tasks.outcome import State
from tasks.records import DeadLetter
from worker.database.tables import dead_letters
from worker.database.tables import jobs as jobs_table
from worker.ledger import DeadLetterRow, DeadLetterState, Fate, Job, JobState, Operator, Pace
from worker.operations import RefusedRequest, jobs, replay
from worker.operations.replay import INTERRUPTED

pytest_plugins = ["desk_fixtures"]

OTTO = Operator("otto", "too fast")
PAUSED, STOPPED = JobState.PAUSED, JobState.STOPPED
TENS = Pace(rate=50.0)  # steps of ten


@pytest.fixture
def planned(local_desk: Desk) -> Job:
    """A job of 25 dead calls: three steps."""
    return of(local_desk, local_desk.fill(*(dead_call() for _ in range(25))), TENS)


def of(desk: Desk, rows: Sequence[DeadLetterRow], pace: Pace = TENS) -> Job:
    """The job of a replay of *rows*."""
    job = desk.planned(rows, pace)
    assert job is not None
    return job


def sent(desk: Desk) -> Counter[str]:
    """How often each call waits in its queue, taken out of it."""
    return Counter(call_in(message)["call_id"] for message in desk.replayed())


def states(desk: Desk) -> Counter[str]:
    """How many dead letters stand how."""
    return Counter(row.state.value for row in desk.ledger.dead_letters(EVERY))


def after_first_step(do: Callable[[], object]) -> dict[str, Any]:
    """Controls that do something when the first step is done."""
    begun: list[int] = []

    def progress(count: int) -> None:
        if not begun:
            do()
        begun.append(count)

    return {"progress": progress}


def test_what_runs_is_what_was_read(local_desk: Desk) -> None:
    """Rows that changed since are left out, each with what changed; what came since is no part of it."""
    letters = [dead_call() for _ in range(6)]
    local_desk.fill(*letters)
    job = of(local_desk, [local_desk.row(each) for each in letters])
    again, discarded, settled, altered, _, _ = letters
    assert again.call is not None
    local_desk.fill(again.model_copy(update={"replays": 1, "call": again.call.model_copy(update={"replays": 1})}))
    local_desk.ledger.discard([discarded.dead_letter_id], audit=audit())
    local_desk.ledger.record([told(settled, State.ACCEPTED, replays=0)])
    with local_desk.ledger.database.writing() as connection:
        forged = altered.model_copy(update={"reason": "http.4xx"}).model_dump_json()
        connection.execute(
            update(dead_letters).where(dead_letters.c.dead_letter_id == altered.dead_letter_id).values(document=forged)
        )
    local_desk.fill(dead_call())
    result = local_desk.run(job)
    assert (result.replayed, result.changed, result.remaining, result.stopped) == (2, 4, 0, None)
    report = jobs.one(local_desk.ledger, job.job_id)
    assert report.left_out == {"died_again": 1, "discarded": 1, "settled": 1, "another": 1}
    assert sent(local_desk) == {each.call.call_id: 1 for each in letters[4:] if each.call}
    assert states(local_desk) == {"dead": 4, "discarded": 1, "replayed": 2}


def test_a_plan_is_figures_and_rows(local_desk: Desk) -> None:
    """Which dead letters, per provider, which are refused and why; nothing has happened."""
    old = dead_call(occurred_at=dead_call().at - MAX_AGES["session.ended"] - timedelta(minutes=1))
    rows = local_desk.fill(dead_call(), dead_call(), old, dead_unit(kind="event", body=None))
    job = of(local_desk, rows)
    figures = jobs.one(local_desk.ledger, job.job_id).figures
    assert (figures.ready, figures.providers, figures.refusals) == (2, {"finbourne"}, {"too_old": 1, "not_stored": 1})
    assert Counter((each.fate, each.why) for each in jobs.letters(local_desk.ledger, job)) == {
        (Fate.PLANNED, ""): 2,
        (Fate.REFUSED, "too_old"): 1,
        (Fate.REFUSED, "not_stored"): 1,
    }
    assert (states(local_desk), audits(local_desk.ledger)) == ({"dead": 4}, [])


def test_another_plan_than_was_read_does_not_run(local_desk: Desk, planned: Job) -> None:
    """Neither by another hash, nor where somebody wrote into the ledger; nothing goes out."""
    with pytest.raises(RefusedRequest, match="plan it anew"):
        local_desk.run(replace(planned, hash="0"))
    with local_desk.ledger.database.writing() as connection:
        connection.execute(update(jobs_table).values(is_judged=False))
    with pytest.raises(RefusedRequest, match="plan it anew"):
        local_desk.run(planned)
    assert (states(local_desk), local_desk.replayed()) == ({"dead": 25}, [])


def test_a_paused_job_waits_and_goes_on(local_desk: Desk, planned: Job) -> None:
    """After the step it is in; each row went out once, and the audit says who began, paused and resumed it."""
    first = local_desk.run(planned, **after_first_step(lambda: jobs.halt(local_desk.ledger, planned, PAUSED, OTTO)))
    assert (first.replayed, first.remaining, first.stopped) == (10, 15, "by otto")
    assert states(local_desk) == {"dead": 15, "replayed": 10}
    second = local_desk.run(planned)
    assert (second.replayed, second.remaining, second.stopped) == (25, 0, None)
    assert set(sent(local_desk).values()) == {1}
    kept = sorted((each.action, each.actor, each.count) for each in audits(local_desk.ledger))
    assert kept == [("dead-letter.replay", "olga", 15), ("job.pause", "otto", 10), ("job.resume", "olga", 0)]
    with pytest.raises(RefusedRequest, match="is done"):
        local_desk.run(planned)
    with pytest.raises(RefusedRequest, match="is done: nothing was changed"):
        jobs.halt(local_desk.ledger, planned, JobState.STOPPED, OTTO)


def test_a_stopped_job_is_over(local_desk: Desk, planned: Job) -> None:
    """What remains is as it was, for another replay."""
    local_desk.run(planned, **after_first_step(lambda: jobs.halt(local_desk.ledger, planned, STOPPED, OTTO)))
    with pytest.raises(RefusedRequest, match="is stopped"):
        local_desk.run(planned)
    assert states(local_desk) == {"dead": 15, "replayed": 10}
    assert local_desk.replay(local_desk.ledger.dead_letters()).replayed == 15


def test_a_pause_is_noticed_between_two_slow_steps(
    local_desk: Desk, planned: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At one an hour as well: who runs it looks, and gives a sign of life, every two seconds."""
    monkeypatch.setattr(replay, "RENEW_SECONDS", 0.05)
    slow = of(local_desk, local_desk.ledger.dead_letters(), Pace(1 / 3600))
    timer = threading.Timer(0.3, lambda: jobs.halt(local_desk.ledger, slow, PAUSED, OTTO))
    timer.start()
    result = local_desk.run(slow)
    timer.join()
    assert (result.replayed, result.stopped) == (1, "by otto")
    assert planned.job_id != slow.job_id


def test_an_interrupted_job_can_be_resumed(local_desk: Desk, planned: Job) -> None:
    """Ctrl-C is a pause."""
    stop = threading.Event()
    first = local_desk.run(planned, progress=lambda _: stop.set(), is_stopping=stop.is_set)
    assert (first.stopped, first.remaining) == (INTERRUPTED, 15)
    assert jobs.one(local_desk.ledger, planned.job_id).job.state is JobState.PAUSED
    assert local_desk.run(planned).replayed == 25


def test_a_canary_is_as_many_as_were_published(local_desk: Desk) -> None:
    """One that was left out proves nothing: the next one takes its place."""
    rows = local_desk.fill(*(dead_call() for _ in range(4)))
    local_desk.ledger.discard([rows[0].dead_letter_id], audit=audit())
    job = of(local_desk, rows, Pace(1000.0, canary=1, wait=0.05))
    result = local_desk.run(job)
    assert (result.replayed, result.changed, result.remaining) == (1, 1, 2)
    assert "had not settled" in (result.stopped or "")


def test_two_cannot_run_one_job(local_desk: Desk, planned: Job) -> None:
    """As long as the first gives signs of life, the second is told who has it."""

    def lives() -> None:
        runner = local_desk.ledger.job(planned.job_id).runner
        assert local_desk.ledger.renew_job(planned.job_id, runner or "")

    with pytest.raises(RefusedRequest, match=r"process \d+ .* runs it"):
        local_desk.run(planned, **after_first_step(lambda: local_desk.run(planned, sleep=lambda _: lives())))
    assert jobs.one(local_desk.ledger, planned.job_id).job.state is JobState.PAUSED


@dataclass
class VirtualClock:
    """Time that passes by sleeping alone."""

    now: float = 0.0

    def monotonic(self) -> float:
        """Return its seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.now += seconds


def test_the_rate_is_kept_whatever_a_step_takes(local_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred at fifty a second: the last step of ten begins 1.8 s after the first."""
    clock, begun = VirtualClock(), list[float]()
    monkeypatch.setattr(replay, "time", clock)

    def took(_: object) -> None:
        begun.append(clock.now)
        clock.sleep(0.05)

    rows = local_desk.fill(*(dead_call() for _ in range(100)))
    local_desk.run(of(local_desk, rows), progress=took, sleep=clock.sleep)
    assert len(begun) == 10
    assert begun[-1] - begun[0] == pytest.approx(1.8)


@pytest.fixture
def killed(local_desk: Desk) -> Iterator[Killed]:
    """Who runs jobs of the local desk, and kills who runs them."""
    made = Killed(local_desk)
    yield made
    made.process.communicate(timeout=30)


def test_kill_9_of_who_runs_a_job_loses_and_repeats_no_row(
    local_desk: Desk, killed: Killed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each place of a step, and between confirm and mark with and without news of what went out.

    A row goes out twice in one case alone: the broker has it, and the ledger does not know yet. It is of one call and
    one generation, and at most a step.
    """
    monkeypatch.setattr(jobs, "LEASE", 0.1)
    monkeypatch.setattr(jobs, "LOOK_SECONDS", 0.05)
    for place in (*PLACES, "recorded"):
        letters = [dead_call() for _ in range(25)]
        local_desk.fill(*letters)
        job = of(local_desk, [local_desk.row(each) for each in letters])
        killed.run(job, "published" if place == "recorded" else place)
        before = local_desk.replayed()
        if place == "recorded":
            settle(local_desk, letters, before)
        result = local_desk.run(job)
        assert (result.replayed, result.remaining, result.stopped) == (25, 0, None), place
        calls = [call_in(message) for message in (*before, *local_desk.replayed())]
        copies = Counter(Counter(call["call_id"] for call in calls).values())
        assert copies == ({1: 15, 2: 10} if place == "published" else {1: 25}), place
        assert {call["replays"] for call in calls} == {1}, place
        assert {local_desk.row(each).state for each in letters} == {DeadLetterState.REPLAYED}, place
    assert sum(each.count for each in audits(local_desk.ledger)) == 5 * 25


def settle(desk: Desk, letters: Sequence[DeadLetter], sent: Sequence[Delivered]) -> None:
    """Have the recorder know that the calls of *letters* that were *sent* are settled."""
    out = {call_in(message)["call_id"] for message in sent}
    desk.ledger.record([told(each, State.ACCEPTED) for each in letters if each.call and each.call.call_id in out])
