"""Broker and ledger before the start: reached, with topology and schema, or one clear line that says which is not."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from worker import broker
from worker.broker import topology
from worker.broker.publisher import BROKER_ERRORS
from worker.ledger import Ledger, LedgerUnavailable
from worker.settings.urls import masked_url

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from worker.settings import Settings

PATIENCE: Final = 10.0  # seconds
ASK_AGAIN: Final = 1.0  # seconds between two tries

T = TypeVar("T")


class Unreachable(Exception):  # noqa: N818 - the name says what is the case
    """The broker or the ledger does not answer; one line that names it, without a password."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Asks again for a while, until *stop*, and says so once with *say*. Its methods raise Unreachable."""

    settings: Settings
    say: Callable[[str], None]
    stop: threading.Event

    def broker(self) -> None:
        """Declare the topology: what is published from now on is kept, whoever is not up yet."""
        url = self.settings.broker_url.get_secret_value()

        def declare() -> None:
            with broker.connector(self.settings)() as connection:
                connection.connect()
                topology.declare(connection, self.settings.providers)

        self._awaited(declare, BROKER_ERRORS, lambda error: f"broker {masked_url(url)}: {type(error).__name__}")

    def ledger(self) -> Ledger:
        """The ledger, its schema at the newest revision."""

        def opened() -> Ledger:
            ledger = Ledger.open(self.settings.ledger_url.get_secret_value())
            ledger.upgrade()
            return ledger

        return self._awaited(opened, (LedgerUnavailable,), str)

    def _awaited(
        self, attempt: Callable[[], T], failures: tuple[type[Exception], ...], told: Callable[[Exception], str]
    ) -> T:
        until, line = time.monotonic() + PATIENCE, ""
        while True:
            try:
                return attempt()
            except failures as error:
                failed = told(error)
            if time.monotonic() > until or self.stop.is_set():
                raise Unreachable(f"not reachable: {failed}")
            if not line:
                line = failed
                self.say(f"not reachable, asked again for {PATIENCE:g} s: {line}")
            self.stop.wait(ASK_AGAIN)
