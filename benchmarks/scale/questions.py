"""What people ask of a large ledger, and how long they wait for the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Final

from benchmarks.resources import family_cpu_seconds, parent_of
from benchmarks.results import percentile
from benchmarks.scale.plans import Plan, plans_of
from benchmarks.scale.settings import SETTINGS
from benchmarks.scale.world import (
    CALLS_PER_EVENT,
    DISABLED_OFTEN,
    HEAVY,
    LOGGED_OUT_OFTEN,
    PROVIDERS,
    TENANT,
    World,
    uuid_of,
)
from worker.ledger import DeadLetterFilter, Ledger
from worker.ledger.waiting import waiting
from worker.operations import causes, dead_letters, jobs
from worker.operations.dead_letters import OPEN, Selection
from worker.operations.explain import explain
from worker.operations.exposure import exposure

TIMES: Final = 50  # each question is asked, of another person where there are several
LISTED: Final = 20  # dead letters
_LONGEST: Final = 10.0  # seconds for all of them

Ask = Callable[[Ledger], int]  # returns how many rows were found


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one question took on one database."""

    question: str
    database: str
    seconds: Sequence[float]
    rows: int  # the most that were found
    cpu_ms: float  # of an answer: ours, and the server's
    plans: Sequence[Plan]

    @property
    def p50_ms(self) -> float:
        """The median in milliseconds."""
        return median(self.seconds) * 1000

    @property
    def p95_ms(self) -> float:
        """The 95th percentile in milliseconds."""
        return percentile(self.seconds, 0.95) * 1000


def questions(world: World) -> dict[str, list[Ask]]:
    """By what it is called, each question in the variants that are asked in turn."""
    some = [world.event((world.size * number // TIMES + 37 * number + 1) % world.size) for number in range(TIMES)]
    people = [world.person(event.person) for event in some if event.person not in HEAVY]
    recent = [world.event(world.size - 1 - number) for number in range(min(TIMES, world.size))]
    doubted = [world.person(event.person) for event in recent if event.person not in HEAVY]
    return {
        "explain: an address": [partial(_explained, person.email) for person in people],
        "explain: a user id": [partial(_explained, person.user_id.upper()) for person in people],
        "explain: an event's id": [partial(_explained, event.event_id) for event in some],
        "explain: a call's id": [
            partial(_explained, uuid_of("call", event.number * CALLS_PER_EVENT)) for event in some
        ],
        "explain --event": [partial(_explained, event.event_id, is_event=True) for event in some],
        "explain: nobody": [partial(_explained, "nobody@example.com")],
        "explain: somebody of today": [partial(_explained, person.email) for person in doubted],
        "explain: 5000 calls, disabled often": [partial(_explained, world.person(DISABLED_OFTEN).email)],
        "explain: 5000 calls, mostly logins": [partial(_explained, world.person(LOGGED_OUT_OFTEN).email)],
        "explain: a tenant": [partial(_explained, TENANT)],
        "dlq list": [partial(_listed, DeadLetterFilter(), None)],
        "dlq list --provider": [partial(_listed, DeadLetterFilter(provider=each), None) for each in PROVIDERS],
        "dlq list --subject": [partial(_listed, DeadLetterFilter(), person.email) for person in people],
        "dlq causes": [_causes],
        "dlq jobs list": [lambda ledger: len(jobs.find(ledger))],
        "dlq jobs show": [_job],
        "exposure": [lambda ledger: len(exposure(SETTINGS, ledger).figures)],
        "the recorder's figures": [lambda ledger: len(waiting(ledger.database).letters)],
        "the last 500 changes": [lambda ledger: len(ledger.changes_since(world.calls)[0])],
    }


def timed(ledger: Ledger, world: World, *, with_plans: bool = False) -> Iterator[Timing]:
    """Ask every question of *ledger*."""
    cpu = _cpu_of(ledger)
    for name, variants in questions(world).items():
        variants[0](ledger)
        before = cpu()
        seconds, rows = _asked(ledger, variants)
        used = (cpu() - before) / len(seconds) * 1000
        plans = plans_of(ledger.database, partial(variants[0], ledger)) if with_plans else []
        yield Timing(name, ledger.database.engine.name, seconds, rows, used, plans)


def _cpu_of(ledger: Ledger) -> Callable[[], float]:
    """What tells the CPU seconds that were used so far, the database server's included."""
    if ledger.database.engine.name == "sqlite":
        return time.process_time
    with ledger.database.reading() as connection:
        server = parent_of(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
    return lambda: time.process_time() + family_cpu_seconds(server)


def _asked(ledger: Ledger, variants: Sequence[Ask]) -> tuple[list[float], int]:
    seconds, rows, begun = list[float](), 0, time.perf_counter()
    for number in range(TIMES):
        started = time.perf_counter()
        rows = max(rows, variants[number % len(variants)](ledger))
        seconds.append(time.perf_counter() - started)
        if time.perf_counter() - begun > _LONGEST:
            break
    return seconds, rows


def _explained(whom: str, ledger: Ledger, *, is_event: bool = False) -> int:
    return len(explain(SETTINGS, ledger, whom, is_event=is_event).standings)


def _listed(where: DeadLetterFilter, subject: str | None, ledger: Ledger) -> int:
    return len(list(dead_letters.find(SETTINGS, ledger, Selection(replace(where, limit=LISTED), subject), OPEN).heads))


def _causes(ledger: Ledger) -> int:
    return len(causes.find(SETTINGS, ledger, Selection(DeadLetterFilter())).causes)


def _job(ledger: Ledger) -> int:
    """The last that was planned, with what becomes of each of its dead letters."""
    [newest] = ledger.jobs(1)
    return sum(each.count for each in jobs.one(ledger, newest.job_id).groups)
