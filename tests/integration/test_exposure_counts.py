"""Exposure in the ledger: each call is counted once, in any order of its records; what is open is told by its age."""

import importlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_records import START, after, dead, entry, outcome, planned, refused
from sqlalchemy import delete, select

from tasks.outcome import State
from tasks.records import CallOutcome, PlannedUnit
from worker.database.tables import exposures
from worker.ledger import Ledger
from worker.ledger.exposure import Exposed
from worker.ledger.exposure_counts import BOUNDS, SLOT
from worker.operations import exposure
from worker.operations.exposure import Period
from worker.settings.exposure import ExposureSettings

pytest_plugins = ["ledger_fixtures"]

Told = tuple[int, State, float, int]  # number of the event, state, seconds after it, attempt
STATES = [State.RETRYING, State.HELD, State.ACCEPTED, State.ALREADY_REVOKED, State.EXPIRED]
STORIES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(STATES), st.floats(-5, 2000), st.integers(1, 2)), max_size=8
)
NUMBERS = count()  # of the stories told to one ledger: each has a provider of its own
LATELY = datetime.now(UTC) - timedelta(minutes=10)
HOURS = [timedelta(hours=1), timedelta(days=1), timedelta(days=7)]


def counts(ledger: Ledger, provider: str = "genesys") -> Counter[tuple[int, int]]:
    """How many calls are counted, by slot and bound."""
    asked = select(exposures.c.slot, exposures.c.at_most_ms, exposures.c.calls)
    with ledger.database.reading() as connection:
        rows = connection.execute(asked.where(exposures.c.provider == provider, exposures.c.calls != 0)).all()
    return Counter({(slot, at_most): calls for slot, at_most, calls in rows})


def place(seconds: float) -> tuple[int, int]:
    """Where a call is to be counted that was settled so long after its event."""
    slot = int((START.timestamp() + seconds) // SLOT) * SLOT
    return slot, next(bound for bound in BOUNDS if bound >= seconds * 1000)


def records(story: Iterable[Told], name: str) -> list[CallOutcome]:
    """The outcomes of *story*, each of an event of its own, all of provider *name*."""
    return [
        outcome(state, f"{name}-{number}", at=at, attempt=attempt, provider=name)
        for number, state, at, attempt in story
    ]


def soonest(told: Sequence[CallOutcome]) -> Counter[tuple[int, int]]:
    """What is to be counted: each call once, by its first settled record."""
    ended = dict[str, float]()
    for each in told:
        if each.exposure_seconds is not None:
            ended[each.call_id] = min(each.exposure_seconds, ended.get(each.call_id, each.exposure_seconds))
    return Counter(map(place, ended.values()))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=STORIES, data=st.data())
def test_any_order_and_repetition_of_records_gives_the_same_counts(
    ledger: Ledger, story: list[Told], data: st.DataObject
) -> None:
    """Each call is counted once, by its soonest end, in whatever transactions its records come."""
    name = f"p-{next(NUMBERS)}"
    told = data.draw(st.permutations(records([*story, *story], name)))
    cut = data.draw(st.integers(0, len(told)))
    for part in (told[:cut], told[cut:], told[:cut]):
        ledger.record([*part, planned(f"{name}-0")])
    assert counts(ledger, name) == soonest(told)


def test_what_needs_no_call_is_not_counted(ledger: Ledger) -> None:
    """It was never exposed."""
    unit = PlannedUnit(call_id="c", provider="genesys", operation=None, state=State.NO_SESSION_KNOWN)
    ledger.record([planned(units=(unit,))])
    assert counts(ledger) == Counter()


def test_a_call_that_settles_after_it_was_dead_and_replayed_is_counted_by_its_whole_exposure(ledger: Ledger) -> None:
    """The token lived until then."""
    ledger.record([planned(), dead(at=9)])
    assert counts(ledger) == Counter()
    ledger.record([outcome(State.ACCEPTED, at=7000, replays=1)])
    assert counts(ledger) == Counter([place(7000)])


@pytest.mark.parametrize("call_id", ["a\0b", "a\ufffdb"])
def test_a_call_whose_id_the_database_cannot_keep_is_counted_once(ledger: Ledger, call_id: str) -> None:
    """It is known by the id that is kept."""
    for at in (9, 2, 5):
        ledger.record([outcome(State.ACCEPTED, at=at, call_id=call_id)])
    assert counts(ledger) == Counter([place(2)])


def test_the_migration_counts_what_was_settled_before_it(ledger: Ledger) -> None:
    """As the recorder would have done; what is older than anybody is told of is left out."""
    before = datetime.now(UTC) - timedelta(days=9)
    old = {"occurred_at": before, "at": before + timedelta(seconds=1)}
    moment: dict[str, Any] = {"occurred_at": LATELY}
    ledger.record(
        [outcome(State.ACCEPTED, "e0").model_copy(update=old)]
        + [
            outcome(State.ACCEPTED, f"e{n}", **moment).model_copy(update={"at": at})
            for n, at in enumerate(moments(), 1)
        ]
        + [outcome(State.RETRYING, "e9", **moment)]
    )
    recorded = counts(ledger)
    recorded -= Counter({key: number for key, number in recorded.items() if key[0] < before.timestamp() + SLOT})
    with ledger.database.writing() as connection:
        exposures.drop(connection)
        with Operations.context(MigrationContext.configure(connection)):
            importlib.import_module("worker.database.migrations.versions.r0005_exposures").upgrade()
    assert counts(ledger) == recorded
    assert recorded.total() == len(moments())


def moments() -> list[datetime]:
    """When calls were settled, of an event of LATELY: at bounds, and between them."""
    return [LATELY + timedelta(seconds=seconds) for seconds in (0.01, 0.011, 0.5, 60, 60.001, 299)]


def exposed(ledger: Ledger, now: datetime, within: float = 60.0) -> list[Exposed]:
    """What is exposed at *now*."""
    return ledger.exposure(now, within, HOURS)[1]


def test_what_is_open_or_dead_is_exposed_and_what_is_over_is_not(ledger: Ledger) -> None:
    """By the bound of its age, with the oldest; a call that somebody gave up is over."""
    ledger.record(
        [
            *(planned(f"e{number}") for number in range(5)),
            outcome(State.ACCEPTED, "e0"),
            outcome(State.RETRYING, "e1", occurred_at=START - timedelta(hours=2)),
            outcome(State.HELD, "e2"),
            dead("e3"),
            dead("e4"),
        ]
    )
    ledger.discard([dead("e4").dead_letter_id], audit=entry("discard"))
    now = after(100)
    found = sorted(exposed(ledger, now), key=lambda each: each.at_most)
    assert [(each.at_most, each.calls, each.oldest_at) for each in found] == [
        (120.0, 2, START),
        (9000.0, 1, START - timedelta(hours=2)),
    ]
    assert [tuple(each.overdue) for each in found] == [(2, 2, 2), (0, 1, 1)]


def test_a_unit_and_an_event_of_a_flood_are_exposed_and_a_refused_event_is_not(ledger: Ledger) -> None:
    """Their people are in; anybody may send what is refused."""
    ledger.record(
        [
            refused("e1", "unit", provider="wibmo", reason="route.unresolvable"),
            refused("e2", reason="guard.flood"),
            refused("e3"),
        ]
    )
    found = {each.provider: each.calls for each in exposed(ledger, after(10))}
    assert found == {"wibmo": 1, None: 1}
    ledger.discard([refused("e1", "unit").dead_letter_id], audit=entry("discard"))
    assert {each.provider for each in exposed(ledger, after(10))} == {None}


@pytest.mark.parametrize(("age", "overdue"), [(60, 0), (61, 1), (3659, 1), (3661, 0)])
def test_what_is_exposed_is_overdue_in_the_period_in_which_it_became_late(
    ledger: Ledger, age: float, overdue: int
) -> None:
    """Sixty seconds are not late; an hour after that it is a matter of the day."""
    ledger.record([planned()])
    [found] = exposed(ledger, after(age))
    assert list(found.overdue) == [overdue, int(age > 60), int(age > 60)]


def settled(ledger: Ledger, name: str, ago: timedelta, exposures_: Sequence[float], **more: Any) -> None:
    """Record calls that were settled so long ago, after these exposures."""
    at = datetime.now(UTC) - ago
    ledger.record(
        [
            outcome(State.ACCEPTED, f"{name}-{n}", occurred_at=at - timedelta(seconds=each), **more).model_copy(
                update={"at": at}
            )
            for n, each in enumerate(exposures_)
        ]
    )


class OneMinute:
    """Settings with the objective that 99 % are settled within a minute."""

    exposure = ExposureSettings()


def test_each_period_has_its_own_figures_and_all_of_them_add_up(ledger: Ledger) -> None:
    """Per provider and type, and overall; what is older than a week is told nowhere."""
    settled(ledger, "a", timedelta(minutes=10), [0.5] * 9 + [100.0])
    settled(ledger, "b", timedelta(hours=5), [2.0] * 10)
    settled(ledger, "c", timedelta(days=3), [3.0], provider="wibmo", event_type="session.ended")
    settled(ledger, "d", timedelta(days=7, hours=1), [4.0])
    found = exposure.exposure(OneMinute(), ledger)  # type: ignore[arg-type]
    told = {(each.provider, each.period): each for each in found.figures}
    assert [told["genesys", period].spread.total for period in Period] == [0, 10, 20, 20]
    assert [told["wibmo", period].spread.total for period in Period] == [0, 0, 0, 1]
    assert [each.spread.total for each in found.overall.values()] == [0, 10, 20, 21]
    hour = told["genesys", Period.HOUR]
    assert [hour.spread.percentile(rank) for rank in (50, 95, 99)] == [0.5, 120.0, 120.0]
    assert hour.late == 1
    assert hour.burn == pytest.approx(10)
    assert told["genesys", Period.DAY].burn == pytest.approx(5)


def test_the_course_of_a_period_has_a_point_for_each_of_its_parts(ledger: Ledger) -> None:
    """Those without a call as well; of everybody, or of one provider and type."""
    settled(ledger, "a", timedelta(minutes=10), [0.5, 9.0])
    settled(ledger, "b", timedelta(minutes=50), [2.0], provider="wibmo")
    points = exposure.course(ledger, Period.HOUR)
    assert len(points) in {13, 14}
    assert {later.begins_at - each.begins_at for each, later in pairwise(points)} == {timedelta(minutes=5)}
    assert [each.spread.calls for each in points if each.spread.calls] == [{2.0: 1}, {0.5: 1, 10.0: 1}]
    [only] = [each for each in exposure.course(ledger, Period.HOUR, "wibmo", "user.disabled") if each.spread.calls]
    assert only.spread.calls == {2.0: 1}
    assert exposure.course(ledger, Period.DAY, "wibmo", "session.ended")[-1].spread.calls == {}
    assert sum(each.spread.total for each in exposure.course(ledger, Period.WEEK)) == 3


def test_a_clock_that_is_ahead_is_waited_for(ledger: Ledger) -> None:
    """What a worker settles tomorrow counts tomorrow."""
    settled(ledger, "a", -timedelta(hours=2), [0.5])
    assert exposure.exposure(OneMinute(), ledger).overall[Period.WEEK].spread.total == 0  # type: ignore[arg-type]


def test_a_call_that_an_older_recorder_wrote_uncounted_takes_nothing_away(ledger: Ledger) -> None:
    """While an upgrade is rolled out, one may write without counting; a count below zero is told as none."""
    settled(ledger, "a", timedelta(hours=2), [9.0])
    with ledger.database.writing() as connection:
        connection.execute(delete(exposures))
    settled(ledger, "a", timedelta(hours=2), [0.5])
    settled(ledger, "b", timedelta(hours=2), [3.0])
    day = exposure.exposure(OneMinute(), ledger).overall[Period.DAY]  # type: ignore[arg-type]
    assert {bound: calls for bound, calls in day.spread.calls.items() if calls} == {0.5: 1, 3.0: 1}
    assert sum(each.spread.total for each in exposure.course(ledger, Period.DAY)) == 2
