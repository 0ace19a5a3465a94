"""The guard of a worker, as its settings want it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tasks.providers import KINDS
from worker.calls.holds.policy import Guard, Terms

if TYPE_CHECKING:
    from worker.database.thread import DatabaseThread
    from worker.settings import Settings

MARGIN: Final = 5.0  # seconds a probe gets on top of the provider's timeout


def make_guard(settings: Settings, thread: DatabaseThread) -> Guard:
    """Not yet started: nothing is known of the holds that stand."""
    providers = settings.providers
    terms = Terms(
        first=settings.hold.first,
        cap=settings.hold.cap,
        longest_pause=settings.retry.retry_after_cap,
        leases={name: each.timeout + MARGIN for name, each in providers.items()},
        worker_only=frozenset(
            name for name, each in providers.items() if all(plan.own_credential for plan in KINDS[each.kind].plans)
        ),
    )
    return Guard(terms, thread)
