"""Okta's System Log: the log events of which an event hook delivers a copy, and of which it may leave some out.

It is polled as Okta has it: without an end and in ascending order, so that an event that was delayed within Okta is not
stepped over. Each page leads to the next one, which may be empty. The same log event makes the same event of ours as
its delivery, so what came by the hook is known.
"""

import logging
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from yarl import URL

from tasks.doors.door import ForeignEvent, Word
from tasks.doors.okta_event_hook import MEANINGS, SESSION_END, OktaEventHook, Settings
from tasks.doors.pull import Found, PullFailed, Reach, answered
from tasks.providers.provider import Request
from tasks.strict_json import MalformedJsonError, decode

logger = logging.getLogger(__name__)

PAGE: Final = 500  # log events
_NEXT: Final = re.compile(r'<([^<>]+)>\s*;\s*rel="next"')


class OktaSystemLog:
    """The look of one door at its organization."""

    def __init__(self, settings: Settings, reach: Reach) -> None:
        assert settings.organization and settings.api_token, "it is swept"  # noqa: S101, PT018 - by the model
        self._organization, self._token = settings.organization, settings.api_token
        self._edge, self._hook = reach.edge, OktaEventHook(settings)
        names = [*MEANINGS, *([SESSION_END] if settings.ends_whole_user or settings.ends_sessions else [])]
        self._filter = " or ".join(f'eventType eq "{name}"' for name in names)

    async def pull(self, cursor: str | None, now: datetime) -> Found:
        """Return the next page; of an organization that was never looked at, what it logs from now on."""
        url = cursor or self._beginning(now)
        headers = {"Accept": "application/json", "Authorization": f"SSWS {self._token.get_secret_value()}"}
        request = Request("GET", URL(url, encoded=True), headers, secrets=(self._token,))
        answer = answered(await self._edge.send(request, self._edge.deadline()))
        log_events, then = _listed(answer.body), self._next(answer.headers)
        if log_events is None or then is None:
            raise PullFailed("reply.bad")
        told = [event for each in log_events for event in self._hook.told(each)]
        if unread := told.count(Word.MALFORMED):
            logger.warning("okta.log_event_unreadable", extra={"count": unread})
        events = tuple(each for each in told if isinstance(each, ForeignEvent))
        return Found(events, then, more=len(log_events) >= PAGE)

    async def close(self) -> None:
        """Nothing was opened."""

    def _beginning(self, now: datetime) -> str:
        query = {"since": now.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "sortOrder": "ASCENDING", "limit": PAGE}
        return f"{self._organization}/api/v1/logs?{urlencode({**query, 'filter': self._filter})}"

    def _next(self, headers: Mapping[str, str]) -> str | None:
        """The URL of the next page, where our token may be sent there."""
        written = ", ".join(value for name, value in headers.items() if name.lower() == "link")
        found = _NEXT.search(written)
        return found[1] if found and found[1].startswith(f"{self._organization}/") else None


def _listed(body: bytes) -> list[object] | None:
    try:
        document = decode(body)
    except MalformedJsonError:
        return None
    return document if isinstance(document, list) else None
