"""Which event is too old: one long after younger ones, or whose age no outage explains; on both databases."""

import math
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from deduplicators import DAY, DISABLED, HOUR, Start, event, put_past, shift_past, taken, words
from replay_desk import wait_for_message

from tasks.instants import FIRST, LAST
from tasks.plan import Catalogue
from worker import broker
from worker.broker import messages, topology
from worker.broker.provenance import ProvenanceMac
from worker.broker.publisher import Publisher
from worker.intake.authorization import Authorizer
from worker.intake.dedup import IncomingEvent
from worker.intake.intake import Controls, Intake
from worker.ledger import Ledger

pytest_plugins = ["ledger_fixtures", "deduplication_fixtures"]


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
