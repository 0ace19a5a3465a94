"""Events as they arrive at the intake, and what it says of who sent them."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from worker.broker import messages
from worker.broker.provenance import ProvenanceMac
from worker.broker.publication import Message

SOURCE: Final = "urn:test:idp"
MAC: Final = ProvenanceMac(b"subject-key-of-a-unit-test-0123456789")
ISSUED: Final = {"format": "iss_sub", "iss": "https://idp.example.com", "sub": "ada"}


class Arrived:
    """A publication as kombu hands it over; *user* is what RabbitMQ checked."""

    def __init__(self, published: Message, user: str | None = None) -> None:
        self.body, self.headers, self.content_type = published.body, dict(published.headers), published.content_type
        self.properties = {"user_id": user} if user else {}
        self.delivery_info: dict[str, Any] = {}


def body(kind: str = "user.disabled", source: str = SOURCE, **data: Any) -> bytes:
    """An event about Ada."""
    told = {"sub_id": ISSUED, **data}
    event = {"specversion": "1.0", "id": "e1", "source": source, "type": kind, "data": told}
    return json.dumps(event | {"time": datetime.now(UTC).isoformat()}).encode()


def said(content: bytes, **headers: Any) -> Message:
    """A message as a producer publishes it."""
    return messages.event(content, "user.disabled", headers=headers)
