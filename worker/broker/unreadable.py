"""The dead letter of a message that is not one of ours: nobody knows what it holds, so it is told of and not kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tasks import records
from tasks.records import DeadLetter
from worker.broker.batch_consumer import body_of

if TYPE_CHECKING:
    from kombu.message import Message

_BROKERS: Final = "x-"  # of the broker's own headers, which change with every delivery
_OURS: Final = "x-revocation-"


def unreadable(message: Message, reason: str, detail: Mapping[str, str] | None = None) -> DeadLetter:
    """What is told of *message*; delivered again, it has the same identity."""
    body = body_of(message)
    return DeadLetter(
        kind="message",
        dead_letter_id=records.dead_letter_id("message", records.digest(body, _envelope(message))),
        reason=reason,
        at=datetime.now(UTC),
        detail=dict(detail or {}),
        body_sha256=hashlib.sha256(body).hexdigest(),
        body_size=len(body),
        content_type=message.content_type,
        redelivered=bool(message.delivery_info.get("redelivered")),
    )


def _envelope(message: Message) -> bytes:
    """All beside the body that its sender wrote or was proved by the broker to be."""
    own = sorted((name, repr(value)) for name, value in message.headers.items() if _is_senders(name))
    user = message.properties.get("user_id")
    return repr((message.content_type, message.content_encoding, user, own)).encode(errors="backslashreplace")


def _is_senders(name: str) -> bool:
    return name.startswith(_OURS) or not name.startswith(_BROKERS)
