"""Of however many dead letters a replay is planned and made: a page of them is in memory, and none is taken twice."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from replay_desk import EVERY, MAC, MAX_AGES, Desk, dead_call

from worker.ledger import DeadLetterFilter, DeadLetterRow, Pace
from worker.ledger.ledger import in_pages
from worker.operations import jobs
from worker.operations.replay_plan import PAGE, ReplayPages
from worker.operations.replay_rules import ReplayPlan, only_vouched, plan_replay

NOW = datetime.now(UTC)
AT_ONCE = Pace(rate=1e6)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk with three pages of dead calls on it, and one more."""
    made = Desk(tmp_path, f"embedded:///{tmp_path / 'broker.sqlite3'}")
    letters = [dead_call().model_copy(update={"at": NOW - timedelta(seconds=n // 7)}) for n in range(3 * PAGE + 1)]
    made.ledger.record([MAC.letters.sign(letter) for letter in letters])
    yield made
    made.close()


def pages_of(desk: Desk, read: list[int], where: DeadLetterFilter) -> ReplayPages:
    """The plan page by page; *read* tells how large each was."""

    def plan(rows: list[DeadLetterRow]) -> ReplayPlan:
        read.append(len(rows))
        return only_vouched(plan_replay(rows, desk.ledger, NOW, MAX_AGES), MAC.letters)

    return ReplayPages(lambda: map(plan, in_pages(desk.ledger.dead_letters, where, PAGE)), "--all")


def test_a_plan_counts_every_page_and_a_replay_sends_each_letter_once(desk: Desk) -> None:
    """What is read of a plan is one page after the other, in the order in which they died."""
    read: list[int] = []
    job = desk.stored(pages_of(desk, read, DeadLetterFilter(newest_first=False)), AT_ONCE)
    assert job is not None
    planned = [letter.dead_letter_id for letter in jobs.letters(desk.ledger, job)]
    assert (max(read), len(read)) == (PAGE, 4)
    assert planned == [row.dead_letter_id for row in desk.ledger.dead_letters(EVERY)]
    assert desk.run(job).replayed == 3 * PAGE + 1
    assert {row.replays for row in desk.ledger.dead_letters(EVERY)} == {0}
    sent = desk.replayed()
    assert len(sent) == len({message.body for message in sent}) == 3 * PAGE + 1


def test_what_dies_after_the_plan_is_no_part_of_the_replay(desk: Desk) -> None:
    """Else one that dies again and again would keep a replay busy for ever."""
    job = desk.stored(pages_of(desk, [], DeadLetterFilter(newest_first=False, limit=5)), AT_ONCE)
    assert job is not None
    desk.fill(dead_call())
    assert desk.run(job).replayed == 5


def test_a_plan_of_nothing_leaves_nothing(desk: Desk) -> None:
    """No job that nobody can run."""
    assert desk.stored(ReplayPages(lambda: (), "--all")) is None
    assert jobs.find(desk.ledger) == []
