"""Of however many dead letters a replay is planned and made: a page of them is in memory, and none is taken twice."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from replay_desk import BUDGETS, EVERY, MAC, MAX_AGES, Desk, audit, dead_call

from worker import broker
from worker.broker.publisher import Publisher
from worker.ledger import DeadLetterFilter, DeadLetterRow
from worker.ledger.ledger import in_pages
from worker.operations.replay import Pace, Replayer
from worker.operations.replay_plan import PAGE, Pages, PlanFigures, figures
from worker.operations.replay_rules import ReplayPlan, only_vouched, plan_replay

NOW = datetime.now(UTC)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk with three pages of dead calls on it, and one more."""
    made = Desk(tmp_path, f"embedded:///{tmp_path / 'broker.sqlite3'}")
    letters = [dead_call().model_copy(update={"at": NOW - timedelta(seconds=n // 7)}) for n in range(3 * PAGE + 1)]
    made.ledger.record([MAC.letters.sign(letter) for letter in letters])
    yield made
    made.close()


def pages_of(desk: Desk, read: list[int], where: DeadLetterFilter) -> Pages:
    """The plan page by page; *read* tells how large each was."""

    def plan(rows: list[DeadLetterRow]) -> ReplayPlan:
        read.append(len(rows))
        return only_vouched(plan_replay(rows, desk.ledger, NOW, MAX_AGES), MAC.letters)

    return lambda: map(plan, in_pages(desk.ledger.dead_letters, where, PAGE))


def replayed(desk: Desk, planned: PlanFigures, pages: Pages) -> int:
    """How many a replay of what was planned sent."""
    with Publisher(lambda: broker.connect(desk.broker_url)) as publisher:
        replayer = Replayer(desk.ledger, publisher, BUDGETS, MAC)
        return replayer.run(planned.rows(pages), Pace(rate=1e6), audit()).replayed


def test_a_plan_counts_every_page_and_a_replay_sends_each_letter_once(desk: Desk) -> None:
    """What a replay takes off the list moves no other letter past the reader."""
    read: list[int] = []
    pages = pages_of(desk, read, DeadLetterFilter(newest_first=False))
    planned = figures(pages())
    assert (planned.ready, max(read), len(read)) == (3 * PAGE + 1, PAGE, 4)
    assert replayed(desk, planned, pages) == 3 * PAGE + 1
    assert {row.replays for row in desk.ledger.dead_letters(EVERY)} == {0}
    sent = desk.replayed()
    assert len(sent) == len({message.body for message in sent}) == 3 * PAGE + 1


def test_what_dies_while_it_is_replayed_is_no_part_of_the_replay(desk: Desk) -> None:
    """Else one that dies again and again would keep a replay busy for ever."""
    pages = pages_of(desk, [], DeadLetterFilter(newest_first=False, limit=5))
    planned = figures(pages())
    everything = pages_of(desk, [], DeadLetterFilter(newest_first=False))
    assert planned.ready == 5
    assert [row.dead_letter_id for row in planned.rows(everything)] == [
        row.dead_letter_id for row in planned.rows(pages)
    ]


def test_a_plan_of_nothing_takes_nothing(desk: Desk) -> None:
    """Not what comes later, either."""
    planned = figures(iter(()))
    assert (planned.ready, list(planned.rows(pages_of(desk, [], DeadLetterFilter())))) == (0, [])
