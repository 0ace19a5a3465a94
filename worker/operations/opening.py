"""What operations work with: the ledger and the publisher in force, opened, and made ready before any process runs."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager

from worker import broker
from worker.broker import topology
from worker.broker.publication import BROKER_ERRORS, PublishError
from worker.broker.publisher import Publisher
from worker.ledger import Ledger
from worker.settings import Settings
from worker.settings.urls import masked_url


def open_ledger(settings: Settings) -> AbstractContextManager[Ledger]:
    """Open the ledger in force. Raises LedgerUnavailable."""
    return closing(Ledger.open(settings.ledger_url.get_secret_value()))


@contextmanager
def open_publisher(settings: Settings) -> Iterator[Publisher]:
    """Open a publisher and declare the queues: what is published before any process runs is kept.

    Raises PublishError where the broker cannot be reached or has other queues of these names.
    """
    connect = broker.connector(settings)
    try:
        with connect() as connection:
            topology.declare(connection, settings.providers)
    except BROKER_ERRORS as error:
        place = masked_url(settings.broker_url.get_secret_value())
        raise PublishError(f"broker {place}: not available ({type(error).__name__})") from None
    with Publisher(connect) as publisher:
        yield publisher


def declare_topology(settings: Settings) -> None:
    """Declare the broker's exchanges and queues. Raises PublishError."""
    with open_publisher(settings):
        pass


def upgrade_ledger(settings: Settings) -> None:
    """Bring the ledger's schema to its newest revision. Raises LedgerUnavailable."""
    with open_ledger(settings) as ledger:
        ledger.upgrade()
