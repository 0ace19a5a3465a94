"""How everything stands now: each provider with what waits for it, the floods, and what waits for an operator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.call import Lane
from worker import broker
from worker.broker import topology
from worker.broker.depths import queue_depths
from worker.broker.publication import BROKER_ERRORS
from worker.intake.flood.store import FloodRow
from worker.ledger import Job, Ledger
from worker.ledger.waiting import Several, waiting
from worker.operations import floods, four_eyes, holds, providers
from worker.operations.providers import Configured
from worker.settings import Settings

Depths = Mapping[str, int]  # messages by the name of their queue


@dataclass(frozen=True, slots=True)
class ProviderNow:
    """A provider instance, and what waits for it."""

    configured: Configured
    open: Several | None  # calls of which more is to come by itself; the oldest by its event's time
    letters: int  # dead letters that nobody has closed
    queued: int | None  # calls in its queues; None: the broker is not reached


@dataclass(frozen=True, slots=True)
class Overview:
    """How everything stands."""

    providers: Sequence[ProviderNow]
    floods: Sequence[FloodRow]
    open: int
    oldest_open_at: datetime | None
    letters: int  # dead letters of all providers and of none, floods left aside
    oldest_letter_at: datetime | None
    is_broker_away: bool
    asked: Sequence[Job]  # plans that wait for a second operator


def overview(settings: Settings, ledger: Ledger, queued: Depths | None) -> Overview:
    """Return how everything stands; *queued* None: the broker is not reached. Raises LedgerUnavailable."""
    found, held_back = waiting(ledger.database), floods.standing(ledger)
    letters = {key: each for key, each in found.letters.items() if key[1] != floods.REASON}
    every = [
        ProviderNow(
            each,
            found.calls.get(each.name),
            sum(several.count for (name, _), several in letters.items() if name == each.name),
            None if queued is None else sum(queued.get(queue, 0) for queue in _queues(each.name)),
        )
        for each in providers.configured(settings, holds.in_force(ledger))
    ]
    return Overview(
        every,
        held_back,
        sum(each.count for each in found.calls.values()),
        min((each.oldest_at for each in found.calls.values()), default=None),
        sum(each.count for each in letters.values()),
        min((each.oldest_at for each in letters.values()), default=None),
        queued is None,
        four_eyes.waiting(ledger),
    )


def depths(settings: Settings) -> Depths | None:
    """Return how many messages wait in each queue; None where the broker does not answer. A missing queue has none."""
    try:
        with broker.connector(settings)() as connection:
            return queue_depths(connection, topology.all_queues(settings.providers))
    except BROKER_ERRORS:
        return None


def _queues(provider: str) -> list[str]:
    return [topology.calls_queue_name(provider, lane) for lane in Lane]
