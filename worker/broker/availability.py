"""Whether a service that this process needs is there: logged once when it goes away, and once when it is back."""

import logging
import time
from typing import Final

from amqp.exceptions import ConsumerCancelled

logger = logging.getLogger(__name__)

STEADY_AFTER: Final = 10.0  # seconds that a broker must serve us to be back: it may accept a connection and no more


class Availability:
    """Logs the events *away* and *back* to *log* as warnings: each once, however often the service fails between."""

    def __init__(self, log: logging.Logger, away: str, back: str) -> None:
        self._log, self._away, self._back = log, away, back
        self.is_away = False

    def lost(self, error: Exception) -> None:
        """To be called whenever the service fails."""
        if not self.is_away:
            self._log.warning(self._away, extra={"error": str(error)})
        self.is_away = True

    def found(self) -> None:
        """To be called whenever the service answers."""
        if self.is_away:
            self._log.warning(self._back)
        self.is_away = False


def log_cancelled(cancelled: ConsumerCancelled) -> None:
    """Log that the broker has cancelled a consumer, whose tag begins with the name of its queue."""
    logger.warning("consumer.cancelled", extra={"consumer": cancelled.message})


class BrokerAvailability:
    """The same of the broker of one consumer, which is back only once it has served us for a while."""

    def __init__(self) -> None:
        self._away_since: float | None = None
        self._served_since: float | None = None

    def lost(self, error: Exception) -> None:
        """To be called when the connection fails."""
        self._served_since = None
        if self._away_since is None:
            self._away_since = time.monotonic()
            logger.warning("broker.unreachable", extra={"error": type(error).__name__, "detail": str(error)})

    def found(self) -> None:
        """To be called when the broker has accepted the connection."""
        self._served_since = time.monotonic()

    def look(self) -> None:
        """To be called now and then, whether the broker serves us or not."""
        if self._away_since is None or self._served_since is None:
            return
        if time.monotonic() - self._served_since >= STEADY_AFTER:
            away = round(self._served_since - self._away_since, 1)
            logger.warning("broker.back", extra={"away_seconds": away})
            self._away_since = None
