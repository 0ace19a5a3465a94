"""The dead letter of a message that is not one of ours: nobody knows what it holds, so it is told of and not kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks import records
from tasks.records import DeadLetter
from worker.batch_consumer import body_of

if TYPE_CHECKING:
    from kombu.message import Message


def unreadable(message: Message, reason: str, detail: Mapping[str, str] | None = None) -> DeadLetter:
    """What is told of *message*; delivered again, it has the same identity."""
    body = body_of(message)
    digest = hashlib.sha256(body).hexdigest()
    return DeadLetter(
        kind="message",
        dead_letter_id=records.dead_letter_id("message", digest, _envelope_digest(message)),
        reason=reason,
        at=datetime.now(UTC),
        detail=dict(detail or {}),
        body_sha256=digest,
        body_size=len(body),
        content_type=message.content_type,
    )


def _envelope_digest(message: Message) -> str:
    """Of all but the broker's own headers, which change with every delivery."""
    own = sorted((name, repr(value)) for name, value in message.headers.items() if not name.startswith("x-"))
    return hashlib.sha256(repr((message.content_type, message.content_encoding, own)).encode()).hexdigest()
