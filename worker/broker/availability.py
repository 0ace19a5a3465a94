"""Whether the broker serves this process, as an operator is told of it: once that it is away, once that it is back."""

from __future__ import annotations

import logging
import time
from typing import Final

logger = logging.getLogger(__name__)

STEADY: Final = 10.0  # seconds that a broker must serve us to be back: one may let us in, and then serve nobody


class Reachability:
    """Of one consumer's connection."""

    def __init__(self) -> None:
        self._away_since: float | None = None
        self._served_since: float | None = None

    def lost(self, error: Exception) -> None:
        """It is away, or serves us no more."""
        self._served_since = None
        if self._away_since is None:
            self._away_since = time.monotonic()
            logger.warning("broker.unreachable", extra={"error": type(error).__name__, "detail": str(error)})

    def found(self) -> None:
        """It has let us in."""
        self._served_since = time.monotonic()

    def look(self) -> None:
        """To be called now and then, while it serves us and while it does not."""
        if self._away_since is None or self._served_since is None:
            return
        if time.monotonic() - self._served_since >= STEADY:
            away = round(self._served_since - self._away_since, 1)
            logger.warning("broker.back", extra={"away_seconds": away})
            self._away_since = None
