"""What the intake remembers: seen before, another event under a known id, replays; on both databases."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from deduplicators import DAY, DISABLED, HOUR, MAX_AGES, OUTAGE, Start, event, shift_past, taken, words
from sqlalchemy import func, select, text

from tasks.events.model import SessionEnded, UserDisabled
from worker.broker.provenance import VOUCHER_LIFE
from worker.database.engine import Database, open_database
from worker.database.tables import seen_events
from worker.database.thread import DatabaseThread
from worker.intake import dedup_store
from worker.intake.dedup import Deduplicator, IncomingEvent
from worker.intake.dedup_store import Recorded
from worker.ledger import Ledger

pytest_plugins = ["ledger_fixtures", "deduplication_fixtures"]


@pytest.fixture
def database(ledger_url: str) -> Iterator[Database]:
    """The ledger's tables, to be looked into."""
    opened = open_database(ledger_url)
    yield opened
    opened.engine.dispose()


def test_an_event_that_was_published_is_done_for_every_intake_and_after_every_restart(start: Start) -> None:
    """Captured and sent again: no second call, whoever gets it."""
    same = event()
    assert [taken(IncomingEvent(same), by=start()) for _ in range(3)] == [
        ["planned"],
        ["done before"],
        ["done before"],
    ]


def test_an_event_whose_plan_was_not_confirmed_is_planned_again(start: Start) -> None:
    """A lost plan is never taken for done: killed between the claim and the confirm, the next one plans it."""
    same = IncomingEvent(event())
    assert words(start().classify([same])) == ["planned"]
    assert taken(same, same, by=start()) == ["planned", "done before"]


def test_another_event_under_a_known_id_is_a_conflict(start: Start) -> None:
    """In the same batch, from another process, before and after it was published; another source has ids of its own."""
    one, other = IncomingEvent(event(who="alice")), IncomingEvent(event(who="bob"))
    assert words(start().classify([one, other])) == ["planned", "id_conflict"]
    assert taken(other, one, by=start()) == ["id_conflict", "planned"]
    assert taken(other, IncomingEvent(event(source="urn:other")), by=start()) == ["id_conflict", "planned"]


# Data that both types of event may have.
EITHER = {"sub_id": {"format": "opaque", "id": "x"}, "sessions": [{"provider": "p", "credential": {"ref": "ab:x"}}]}


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "session.ended"},
        {"time": "2026-11-21T01:15:31Z"},
        {"expirytime": "9999-12-31T23:59:58Z"},
        {"data": {**EITHER, "reason": "left"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_each_part_of_what_an_event_says_makes_it_another(changed: dict[str, Any]) -> None:
    """Of what the plan is made of, nothing can be said otherwise under an id that was used."""
    told = {
        **event().model_dump(mode="json", exclude_unset=True),
        "data": EITHER,
        "time": "2026-11-21T01:15:30Z",
        "expirytime": "9999-12-31T23:59:59Z",
    }
    model = SessionEnded if changed.get("type") else UserDisabled
    one, other = (
        IncomingEvent(UserDisabled.model_validate(told)),
        IncomingEvent(model.model_validate({**told, **changed})),
    )
    assert one.identity == other.identity
    assert one.content != other.content
    dedup, known = (
        Deduplicator(cast("DatabaseThread", None), MAX_AGES, OUTAGE),
        {one.identity: Recorded(one.content, published=False)},
    )
    assert words([dedup._classified(each, dict(known), is_old=False) for each in (one, other)]) == [
        "planned",
        "id_conflict",
    ]


def test_of_events_with_one_id_at_once_only_one_passes(start: Start) -> None:
    """Four intakes, each with another body under each of fifty ids, in different orders: one body for each id."""
    batches = [
        [IncomingEvent(event(f"e{n}", who=f"user-{who}")) for n in range(50)][:: 1 - 2 * (who % 2)] for who in range(4)
    ]
    with ThreadPoolExecutor(4) as pool:
        judged = [each for some in pool.map(lambda batch: start().classify(batch), batches) for each in some]
    assert sorted(each.event.id for each in judged if isinstance(each, IncomingEvent)) == sorted(
        f"e{n}" for n in range(50)
    )
    assert words(judged).count("id_conflict") == 150


def test_how_an_event_is_written_makes_it_no_other(start: Start) -> None:
    """The order of members, a trace context, an attribute of the content mode: what it asks for is the same."""
    told = event().model_dump(mode="json", exclude_unset=True)
    again = {
        **dict(reversed(told.items())),
        "traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01",
        "dataschema": "x",
    }
    rewritten = UserDisabled.model_validate(again)
    arrivals = [IncomingEvent(UserDisabled.model_validate(told)), IncomingEvent(rewritten)]
    assert taken(*arrivals, by=start()) == ["planned", "done before"]


def test_an_operators_replay_is_an_event_of_its_own_that_passes_once(start: Start) -> None:
    """Neither too old nor done before; a copy of the replay is."""
    mine, old = start(), event("old", 9 * DAY)
    assert taken(IncomingEvent(event()), IncomingEvent(old), by=mine) == ["planned", "stale"]
    replays = [
        IncomingEvent(old, 1, "genesys"),
        IncomingEvent(old, 1, "genesys"),
        IncomingEvent(old, 1, "wibmo"),
        IncomingEvent(old, 2, "wibmo"),
    ]
    assert taken(*replays, by=mine) == ["planned", "done before", "planned", "planned"]


@pytest.mark.parametrize("changed", [{"replayed_at": datetime.now(UTC)}, {"letter": "l-2"}, {"replays": 2}])
def test_an_operators_second_word_is_no_copy_of_the_first(start: Start, changed: dict[str, Any]) -> None:
    """Replayed by force once more, or from another letter of the same event: it is not dropped as done before."""
    told: dict[str, Any] = {"replays": 1, "letter": "l-1", "replayed_at": datetime.now(UTC) - HOUR}
    mine = start()
    first, second = IncomingEvent(event("e1"), **told), IncomingEvent(event("e1"), **told | changed)
    assert taken(first, first, second, second, by=mine) == ["planned", "done before", "planned", "done before"]


def test_a_replay_is_remembered_by_its_own_time_for_longer_than_its_voucher_lives(start: Start, ledger: Ledger) -> None:
    """However old its event is; after that its voucher is dead, and it is forgotten."""
    mine, young, now = start(), event("young"), datetime.now(UTC)
    assert taken(IncomingEvent(young), by=mine) == ["planned"]
    ages = [timedelta(), VOUCHER_LIFE, VOUCHER_LIFE + HOUR - timedelta(minutes=1), VOUCHER_LIFE + 2 * HOUR]
    replays = [IncomingEvent(event("old", 9 * DAY), 1, letter="l", replayed_at=now - age) for age in ages]
    for _ in range(2):
        mine._forget_at = 0.0
        found = taken(*replays, by=mine)
    assert found == ["done before"] * 3 + ["planned"]
    assert dedup_store.youngest(ledger.database)[DISABLED] == young.time, "a replay makes nothing else old"


def test_what_would_be_too_old_is_forgotten(start: Start, ledger: Ledger, database: Database) -> None:
    """The table holds what may still come, and an hour: as many rows as events in the time of the limit."""
    mine = start()
    shift_past(ledger, DAY)
    mine._knows_past, ages = True, itertools.chain(range(30, 0, -1), [0])
    for age in ages:
        mine._forget_at = 0.0
        assert taken(IncomingEvent(event(f"e{age}", age * DAY)), by=mine) == ["planned"]
    with database.reading() as connection:
        oldest, count = connection.execute(select(func.min(seen_events.c.occurred_at), func.count())).one()
    assert (count, oldest > datetime.now(UTC) - 8 * DAY) == (8, True)


def test_without_the_ledger_events_go_on_unremembered_and_it_is_said_once(
    start: Start, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A living token is worse than a call too many. Age is still judged; what is back is said, and remembered again."""
    mine, same = start(), IncomingEvent(event())
    assert taken(IncomingEvent(event("before")), by=mine) == ["planned"]
    rename(database, "seen_events", "away")
    for _ in range(3):
        mine._ask_at = 0.0
        assert taken(same, IncomingEvent(event("old", 8 * DAY)), by=mine) == ["planned", "stale"]
    rename(database, "away", "seen_events")
    mine._ask_at = 0.0
    assert [taken(same, by=mine) for _ in range(2)] == [["planned"], ["done before"]]
    assert [each.message for each in caplog.records if "memory" in each.message] == ["memory.away", "memory.back"]


def rename(database: Database, old: str, new: str) -> None:
    """Put a table out of reach, or back."""
    with database.writing() as connection:
        connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))


def test_a_ledger_that_does_not_answer_is_waited_for_once_and_then_left_alone(start: Start, database: Database) -> None:
    """Its rows are locked by somebody: a batch waits for seconds, those after it do not wait at all."""
    mine, same = start(), IncomingEvent(event())
    assert taken(same, by=mine) == ["planned"]
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE seen_events"))
        began = datetime.now(UTC)
        assert [taken(same, by=mine) for _ in range(100)] == [["planned"]] * 100
        assert datetime.now(UTC) - began < timedelta(seconds=8)
