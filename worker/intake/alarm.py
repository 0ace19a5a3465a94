"""The alarm: somebody says what they may not, or cannot prove who they are."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from worker.intake.authorization import Denied, Rule

logger = logging.getLogger(__name__)

QUIET: Final = 60.0  # seconds after an alert until the next one of the same source and rule


class Alarm:
    """One error, which goes to Sentry, a minute, listed source and rule, however many events are refused."""

    def __init__(self, quiet: float = QUIET) -> None:
        self._quiet = quiet
        self._raised: dict[tuple[str | None, Rule], float] = {}  # as many as the settings have sources, times rules

    def hear(self, denied: Denied) -> None:
        """Alert, unless there was one of the kind a moment ago."""
        kind, now = (denied.listed_as, denied.rule), time.monotonic()
        if now - self._raised.get(kind, -self._quiet) >= self._quiet:
            self._raised[kind] = now
            told = {"reason": denied.rule.value, "listed_as": denied.listed_as, "pointer": denied.pointer}
            logger.error("event.access_denied", extra=told)
