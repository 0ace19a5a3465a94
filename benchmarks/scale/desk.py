"""What stands at the desk of a large ledger: floods, holds, and replays that are planned."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import insert

from benchmarks.say import say
from benchmarks.scale.settings import SETTINGS
from benchmarks.scale.world import PROVIDERS, SOURCES, World
from worker.calls.holds.hold import Scope
from worker.database.tables import floods
from worker.ledger import DeadLetterFilter, Ledger, Operator, Pace
from worker.operations import causes, holds, jobs, replay_plan
from worker.operations.dead_letters import Selection
from worker.operations.jobs import PlannedJob
from worker.operations.replay import ReplaySettings

OLGA: Final = Operator("olga", "the ledger is measured")
PACE: Final = Pace(rate=100.0, canary=10, stop_after_failures=3, wait=60.0)
_JOBS: Final = 4  # each of one cause


def stand_still(world: World, ledger: Ledger) -> None:
    """Have a flood of each source held back, two providers held, and some replays planned."""
    since = dict.fromkeys(("opened_at", "reserve_at"), world.now.timestamp())
    rows = [{"source": each, "event_type": "user.disabled", **since} for each in SOURCES]
    with ledger.database.writing() as connection:
        connection.execute(insert(floods), rows)
    for provider in PROVIDERS[:2]:
        holds.place(ledger, holds.planned(provider, Scope.ALL, timedelta(days=30), OLGA), OLGA)
    for each in causes.find(SETTINGS, ledger, Selection(DeadLetterFilter(limit=_JOBS))).causes:
        say(f"planned: {plan(ledger, DeadLetterFilter(cause=each.row.cause)).figures.ready} dead letters")


def plan(ledger: Ledger, where: DeadLetterFilter) -> PlannedJob:
    """Plan a replay of what *where* finds, as an operator does."""
    pages = replay_plan.of_selected(SETTINGS, ledger, Selection(where))
    return jobs.plan(ReplaySettings.of(SETTINGS), ledger, pages, PACE, OLGA)
