"""The subscription to change notifications: made, renewed long before it ends, and made again where it is gone.

Graph may let one die without a word, ask for its renewal at any time, or forget it. So it is renewed whenever we look
after some minutes, which is also what it asks for by `reauthorizationRequired`.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from yarl import URL

from tasks.doors.graph import Settings
from tasks.outcome import CredentialFault, Transient
from tasks.providers.answers import Answer

logger = logging.getLogger(__name__)

LIFE: Final = timedelta(days=3)  # of a subscription; Graph allows 29 days for users
RENEWED_AFTER: Final = 600.0  # seconds
_NOT_FOUND: Final = 404

Send = Callable[[str, URL, object], Awaitable[Answer | Transient | CredentialFault]]


@dataclass(frozen=True, slots=True)
class Lease:
    """Which subscription is ours, and when it was renewed, in seconds since 1970."""

    id: str | None = None
    renewed: float = 0.0


NO_LEASE: Final = Lease()


class Subscription:
    """That of one door; where somebody else looks after it, nothing is done."""

    def __init__(self, settings: Settings, send: Send) -> None:
        self._settings, self._send = settings, send

    async def kept(self, lease: Lease, now: datetime) -> Lease:
        """Return the lease of the subscription, renewed if it is time. What fails is logged, and tried again."""
        if self._settings.notification_url is None or now.timestamp() - lease.renewed < RENEWED_AFTER:
            return lease
        end = {"expirationDateTime": (now + LIFE).strftime("%Y-%m-%dT%H:%M:%SZ")}
        url = f"{self._settings.graph_url}/v1.0/subscriptions"
        answer = await self._send("PATCH", URL(f"{url}/{lease.id}"), end) if lease.id else None
        if answer is None or (isinstance(answer, Answer) and answer.status == _NOT_FOUND):
            answer = await self._send("POST", URL(url), {**self._wanted(), **end})
        found = answer.document().get("id") if isinstance(answer, Answer) and answer.is_success else None
        if isinstance(found, str) and found.isascii() and found.replace("-", "").isalnum():
            return Lease(found, now.timestamp())
        reason = "reply.bad" if isinstance(answer, Answer) and answer.is_success else answer.reason
        logger.warning("graph.subscription_failed", extra={"reason": reason})
        return lease

    def _wanted(self) -> dict[str, object]:
        state, url = self._settings.client_state, self._settings.notification_url
        return {
            "changeType": "updated,deleted",
            "resource": "users",
            "notificationUrl": url,
            "lifecycleNotificationUrl": url,
            "clientState": state.get_secret_value() if state else None,
        }
