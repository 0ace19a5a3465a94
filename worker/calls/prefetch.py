"""How many calls of one provider and lane are in flight: what the broker hands out unacknowledged from its queue.

A limit for each queue is a bulkhead: a provider that hangs fills its own, and no other waits for it.
"""

from collections.abc import Iterator, Mapping

from tasks.call import Lane
from tasks.providers import ProviderSettings, kind_of
from worker.broker import topology
from worker.calls.rate_limits import Limit, per_minute
from worker.settings.sections import WorkerSettings


class Prefetch:
    """By lane, and by the rate limit of the calls in a queue."""

    def __init__(self, worker: WorkerSettings, providers: Mapping[str, ProviderSettings]) -> None:
        self._worker, self._limited = worker, dict(_limited(providers))

    def of_queue(self, name: str) -> int:
        """Return how many messages of the queue *name* one process works on at once, at most."""
        is_urgent = name.endswith(f".{Lane.URGENT}") or name == topology.DOOR.name
        most = self._worker.in_flight_urgent if is_urgent else self._worker.in_flight_routine
        return min(most, self._limited.get(name, most))


def _limited(providers: Mapping[str, ProviderSettings]) -> Iterator[tuple[str, int]]:
    """The queues that hold limited calls, and how many messages a worker takes from each at once.

    Half of them wait for a permit; the other places are for calls under way, and for those that are put back.
    """
    for name, provider in providers.items():
        calls, kind = per_minute(provider), kind_of(provider)
        for lane, is_limited in ((Lane.ROUTINE, kind.limits_sessions), (Lane.URGENT, True)):
            if calls and is_limited:
                yield topology.calls_queue_name(name, lane), 2 * Limit(calls).places
