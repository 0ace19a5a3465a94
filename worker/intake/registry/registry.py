"""What one intake process does with the session registry: it asks for each batch, and has it forget what is over."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

from tasks.catalogue import Catalogue
from tasks.events import SESSION_STARTED, Event, SessionsData, StartedData, UserData
from tasks.registry import Registered
from worker.broker.availability import Availability
from worker.database.cipher import RowCipher
from worker.database.engine import Database
from worker.database.errors import LedgerUnavailable
from worker.database.thread import DatabaseThread
from worker.intake.registry import store
from worker.intake.registry.resolving import Resolver
from worker.observability import metrics
from worker.settings import Settings

T = TypeVar("T")
logger = logging.getLogger(__name__)

ASK_TIMEOUT: Final = 3.0  # seconds that a batch waits for the registry
TIDY_INTERVAL: Final = 1.0  # seconds
COUNT_INTERVAL: Final = 30  # tidyings between two counts: of several intakes one learns that late what others added


def says_nothing_without(event: Event) -> bool:
    """Whether *event* is of no use where there is no session registry."""
    return isinstance(event.data, StartedData) or (
        isinstance(event.data, SessionsData) and bool(event.data.session_ids)
    )


def needs_registry(event: Event) -> bool:
    """Whether *event* is not dealt with before the session registry was asked."""
    return says_nothing_without(event) or isinstance(event.data, UserData)


class SessionRegistry:
    """That of one intake process, over a durable *thread*: it is on the disk before anything is published."""

    def __init__(self, thread: DatabaseThread, resolver: Resolver) -> None:
        self._thread, self._resolver = thread, resolver
        self._availability = Availability(logger, "registry.away", "registry.back")
        self._counts: Counter[str] | None = None  # of sessions by provider, as of the last count and by ourselves since

    def resolve(self, events: Sequence[Event]) -> list[Registered] | None:
        """Return what is known for each of *events*, in their order; None while the registry does not answer."""
        return self._asked(partial(self._resolve, events)) if events else []

    def _resolve(self, events: Sequence[Event], database: Database) -> list[Registered]:
        if self._counts is None:
            self._counts = Counter(store.count(database))
        resolved = self._resolver.resolve(events, datetime.now(UTC), self._counts.total(), database)
        self._counts.update(resolved.added)
        return resolved.registered

    def tidy(self) -> bool:
        """Have what is over be forgotten, some at a time; return whether there was any."""
        return bool(self._asked(lambda database: store.forget(database, datetime.now(UTC))))

    def count(self) -> None:
        """Count what is kept."""
        counted = self._asked(store.count)
        if counted is not None:
            self._counts = Counter(counted)

    @contextmanager
    def tidied(self) -> Iterator[None]:
        """Until the end of the block, have what is over be forgotten, and the metrics show what is kept."""
        metrics.REGISTRY_SESSIONS.follow(lambda: {(name,): count for name, count in (self._counts or {}).items()})
        ended = threading.Event()
        thread = threading.Thread(target=self._keep_tidy, args=(ended,), name="registry", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(ASK_TIMEOUT)

    def _keep_tidy(self, ended: threading.Event) -> None:
        turns = 0
        while not ended.wait(TIDY_INTERVAL):
            if turns % COUNT_INTERVAL == 0:
                self.count()
            turns += 1
            while self.tidy() and not ended.is_set():
                pass

    def _asked(self, question: Callable[[Database], T]) -> T | None:
        try:
            answer = self._thread.run_sync(question, ASK_TIMEOUT)
        except LedgerUnavailable as error:
            self._availability.lost(error)
            return None
        self._availability.found()
        return answer


@contextmanager
def open_registry(settings: Settings, catalogue: Catalogue) -> Iterator[SessionRegistry | None]:
    """The session registry of *settings*, kept tidy; None where it is off."""
    if not settings.registry.enabled:
        yield None
        return
    late = settings.max_ages()[SESSION_STARTED]
    cipher = RowCipher.of(settings, "the session registry")
    reach = {each.source: each.providers for each in settings.sources.values()}
    resolver = Resolver(catalogue, cipher, settings.registry, late, reach)
    with closing(DatabaseThread(settings.ledger_url.get_secret_value(), durable=True)) as thread:
        registry = SessionRegistry(thread, resolver)
        with registry.tidied():
            yield registry
