"""What the broker says of a message that it gave up: why, and when."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tasks.outcome import Reason

MAX_TIME_IN_QUEUE: Final = timedelta(days=365)  # a death longer ago is a clock that was wrong, or invented
# What the broker calls a death (https://www.rabbitmq.com/docs/dlx#effects).
_REASONS: Final[Mapping[str, str]] = {
    "delivery_limit": Reason.BROKER_DELIVERY_LIMIT,
    "expired": Reason.BROKER_EXPIRED,
    "maxlen": Reason.BROKER_MAXLEN,
}


def reason_of(death: Mapping[str, Any], rejected: str) -> str:
    """Why it was given up; *rejected*: what it means that a consumer gave the message up itself."""
    return _REASONS.get(str(death.get("reason")), rejected)


def time_of(death: Mapping[str, Any]) -> datetime:
    """When the broker gave it up: the same however often it is delivered since. Now, where it names no such time."""
    time, now = death.get("time"), datetime.now(UTC)
    if not isinstance(time, datetime):
        return now
    at = time if time.tzinfo else time.replace(tzinfo=UTC)  # py-amqp reads timestamps as naive times in UTC
    return at if now - MAX_TIME_IN_QUEUE <= at <= now else now
