"""What the intake remembers: too old, seen before, another event under a known id; on both databases."""

import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from replay_desk import wait_for_message
from servers import wait_until
from sqlalchemy import func, select, text

from tasks.events import InvalidEvent, SessionEnded, UserDisabled
from tasks.instants import FIRST, LAST
from tasks.plan import Catalogue
from worker import broker
from worker.broker import messages, topology
from worker.broker.provenance import VOUCHER_LIFE, ProvenanceMac
from worker.broker.publisher import Publisher
from worker.database.engine import Database, open_database
from worker.database.tables import seen_events
from worker.database.thread import DatabaseThread
from worker.intake import dedup_store
from worker.intake.authorization import Authorizer
from worker.intake.dedup import Classified, Deduplicator, IncomingEvent
from worker.intake.dedup_store import Recorded
from worker.intake.intake import Controls, Intake
from worker.ledger import Ledger

pytest_plugins = ["ledger_fixtures"]

HOUR = timedelta(hours=1)
DAY = 24 * HOUR
MAX_AGES = {"session.ended": 2 * DAY, "user.disabled": 7 * DAY}
OUTAGE = 30 * DAY
DISABLED = "user.disabled"
Start = Callable[[], Deduplicator]


@pytest.fixture
def database(ledger_url: str) -> Iterator[Database]:
    """The ledger's tables, to be looked into."""
    opened = open_database(ledger_url)
    yield opened
    opened.engine.dispose()


def event(event_id: str = "e1", age: timedelta = timedelta(), who: str = "alice", source: str = "urn:test") -> Any:
    """A user was disabled so long ago."""
    told = {"specversion": "1.0", "id": event_id, "source": source, "type": DISABLED}
    data = {"sub_id": {"format": "opaque", "id": who}}
    return UserDisabled.model_validate({**told, "time": (datetime.now(UTC) - age).isoformat(), "data": data})


@pytest.fixture
def start(ledger: Ledger, ledger_url: str) -> Iterator[Start]:
    """Make the deduplicator of a process which was just started."""
    assert dedup_store.youngest(ledger.database) == {}
    desks, before = list[DatabaseThread](), set(threading.enumerate())

    def started() -> Deduplicator:
        desks.append(DatabaseThread(ledger_url))
        return Deduplicator(desks[-1], MAX_AGES, OUTAGE)

    yield started
    for desk in desks:
        desk.close()
    wait_until(lambda: set(threading.enumerate()) <= before, what="the desks to be closed")


def taken(*arrivals: IncomingEvent, by: Deduplicator) -> list[str]:
    """What became of *arrivals*; what was planned is published."""
    judged = by.classify(arrivals)
    by.mark_published(each for each in judged if isinstance(each, IncomingEvent))
    return words(judged)


def words(judged: Sequence[Classified]) -> list[str]:
    """`planned`, `done before`, or the code of a refusal."""
    return [each.code if isinstance(each, InvalidEvent) else "planned" if each else "done before" for each in judged]


def test_an_event_that_comes_after_much_younger_ones_is_too_old(start: Start) -> None:
    """Seven days for a user.disabled, and what clocks may differ; so a captured event is worth nothing later."""
    mine = start()
    ages = [timedelta(), 7 * DAY, 7 * DAY + HOUR]
    arrivals = [IncomingEvent(event(f"e{n}", age)) for n, age in enumerate(ages)]
    assert taken(*arrivals, by=mine) == ["planned", "planned", "stale"]


def test_an_installation_without_a_past_was_not_slow(start: Start) -> None:
    """Its very first event is judged by its age."""
    assert taken(IncomingEvent(event(age=8 * DAY)), by=start()) == ["stale"]


def test_a_backlog_of_any_age_is_as_young_as_its_neighbours(start: Start, ledger: Ledger) -> None:
    """A month of outage: nothing that waited for us is refused, neither before nor after a restart half way."""
    assert taken(IncomingEvent(event("before")), by=start()) == ["planned"]
    with_past = start()
    shift_past(ledger, 31 * DAY)
    waiting = [IncomingEvent(event(f"e{day}", day * DAY)) for day in range(30, 0, -1)]
    assert taken(*waiting[:15], by=with_past) == ["planned"] * 15
    assert taken(*waiting[15:], by=start()) == ["planned"] * 15


def shift_past(ledger: Ledger, by: timedelta) -> None:
    """Let everything that was seen have happened earlier."""
    put_past(ledger, lambda at: at - by)


def put_past(ledger: Ledger, move: Callable[[datetime], datetime]) -> None:
    """Let everything that was seen have happened when *move* says."""
    with ledger.database.writing() as connection:
        rows = connection.execute(select(seen_events.c.identity, seen_events.c.occurred_at)).all()
        for identity, at in rows:
            connection.execute(
                seen_events.update().where(seen_events.c.identity == identity).values(occurred_at=move(at))
            )


def test_what_was_never_judged_is_too_old_however_often_it_is_delivered(start: Start, broker_url: str) -> None:
    """Captured a year ago, published just before a connection ends: the broker's "again" is no word of ours."""
    mine, body = start(), event("captured", 365 * DAY).model_dump_json(exclude_unset=True).encode()
    assert taken(IncomingEvent(event("young")), by=mine) == ["planned"]
    with broker.connect(broker_url) as connection, Publisher(lambda: broker.connect(broker_url)) as publisher:
        topology.declare(connection, [])
        publisher.publish_all([messages.event(body, DISABLED)])
        queue = topology.INTAKE_URGENT(connection.channel())
        wait_for_message(queue).reject(requeue=True)
        again = wait_for_message(queue)
        assert again.delivery_info["redelivered"]
        authorizer = Authorizer({}, proves_users=False)
        intake = Intake(cast("Catalogue", None), publisher, Controls(ProvenanceMac(b"k" * 32), authorizer, mine, None))  # type: ignore[arg-type]
        accepted = intake.read(again).accepted
        assert accepted is not None
        judged = mine.classify([accepted])
    assert words(judged) == ["stale"]


def test_no_outage_explains_more_than_the_longest_one(start: Start, ledger: Ledger) -> None:
    """Whatever came before it, seven days and thirty by our own clock are the end; also while nobody knows the past."""
    assert taken(IncomingEvent(event("before")), by=start()) == ["planned"]
    with_past, ages = start(), [38 * DAY, 36 * DAY]
    shift_past(ledger, 365 * DAY)
    assert taken(*(IncomingEvent(event(f"e{age.days}", age)) for age in ages), by=with_past) == ["stale", "planned"]
    forgetful = start()
    forgetful._ask_at = math.inf
    assert words(forgetful.classify([IncomingEvent(event(f"f{age.days}", age)) for age in ages])) == [
        "stale",
        "planned",
    ]


@pytest.mark.parametrize("kept", [FIRST, LAST], ids=["the first day", "the last day"])
def test_a_past_at_either_end_of_the_calendar_stops_nobody(start: Start, ledger: Ledger, kept: datetime) -> None:
    """What an operator forced in with a zero for its time is remembered, and is all that a new process knows."""
    assert taken(IncomingEvent(event("odd"), 1), by=start()) == ["planned"]
    put_past(ledger, lambda _: kept)
    mine = start()
    mine._forget_at = 0.0
    assert taken(IncomingEvent(event("new")), by=mine) == ["planned"]


def test_what_was_let_in_and_not_published_is_not_too_old_later(start: Start, ledger: Ledger) -> None:
    """Whatever passed it meanwhile: it is our publishing that was slow."""
    assert taken(IncomingEvent(event("before")), by=start()) == ["planned"]
    shift_past(ledger, 9 * DAY)
    mine, waiting = start(), IncomingEvent(event("waiting", 8 * DAY))
    assert words(mine.classify([waiting])) == ["planned"]
    assert taken(IncomingEvent(event("young")), waiting, IncomingEvent(event("old", 8 * DAY)), by=mine) == [
        "planned",
        "planned",
        "stale",
    ]


def test_a_clock_of_ours_that_was_ahead_once_does_no_harm(start: Start) -> None:
    """What came with a time of the future does not make the present old."""
    mine = start()
    mine._came(DISABLED, datetime.now(UTC) + 365 * DAY)
    assert taken(IncomingEvent(event()), by=mine) == ["planned"]


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
