"""All that waits, in queues and in the ledger, as the recorder's metrics show it: looked at now and then."""

from typing import Self

from kombu import Connection

from worker.broker import topology
from worker.broker.depths import QueueDepths
from worker.database.thread import DatabaseThread
from worker.ledger.figures import LedgerFigures
from worker.settings import Settings


class Backlog:
    """Looks every `monitoring.snapshot_interval`; to be closed."""

    def __init__(self, settings: Settings) -> None:
        interval = settings.monitoring.snapshot_interval
        self._thread = DatabaseThread(settings.ledger_url.get_secret_value())
        self._depths = QueueDepths(topology.all_queues(settings.providers), interval)
        self._figures = LedgerFigures(self._thread, settings.providers, interval)

    def look(self, connection: Connection) -> None:
        """Look, as far as it is time: at the queues over *connection*, at the ledger without waiting."""
        self._depths.look(connection)
        self._figures.look()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._thread.close()
