"""What commands work with: settings, ledger, publisher, opened for the length of a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from worker import broker
from worker.broker import topology
from worker.broker.publisher import BROKER_ERRORS, Publisher
from worker.cli.exits import CommandError, Exit
from worker.cli.masking import masked
from worker.ledger import Ledger

if TYPE_CHECKING:
    from worker.settings import Settings


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """The ledger in force. Raises LedgerUnavailable."""
    ledger = Ledger.open(settings.ledger_url.get_secret_value())
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def open_publisher(settings: Settings) -> Iterator[Publisher]:
    """A publisher to the broker in force, its queues declared: what is published before any process runs is kept.

    Raises CommandError where the broker cannot be reached or has other queues of these names.
    """
    connect = broker.connector(settings)
    try:
        with connect() as connection:
            topology.declare(connection, settings.providers)
    except BROKER_ERRORS as error:
        place = masked(settings.broker_url)
        raise CommandError(f"broker {place}: not available ({type(error).__name__})", Exit.UNAVAILABLE) from None
    with Publisher(connect) as publisher:
        yield publisher
