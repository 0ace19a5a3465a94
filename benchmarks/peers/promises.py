"""What the rows "with the promises" do besides their request, as ours does: check the call, and record its outcome.

The record is published with aio-pika on a connection of its own: persistent, mandatory, to a quorum queue. Every call
waits for its own confirm while the others publish, so that confirms are pipelined; the engine acknowledges after it.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Any

import aio_pika
from calling import BROKER, OUTCOMES, Document
from pydantic import BaseModel, ConfigDict


class Call(BaseModel):
    """A provider call, each member of its type and none besides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    call_id: str
    event_id: str
    source: str
    event_type: str
    occurred_at: datetime
    deadline: datetime
    provider: str
    operation: str
    lane: str
    subject: str
    user_id: str | None
    jwe: str | None
    token_reference_id: str | None
    subject_keys: tuple[str, ...]
    person_key: str | None
    target_key: str | None
    planned_at: datetime | None
    expires_at: datetime | None
    traceparent: str | None
    attempts: tuple[Any, ...]
    replays: int
    covers: tuple[str, ...]
    known: bool | None


class Outcome(BaseModel):
    """The record of a settled call."""

    kind: str = "call"
    call_id: str
    event_id: str
    source: str
    event_type: str
    provider: str
    operation: str
    subject: str
    state: str = "accepted"
    attempts: int = 1
    duration_ms: float


class Promises:
    """Checks calls, and publishes what became of them."""

    def __init__(self) -> None:
        self._opening = asyncio.Lock()
        self._exchange: aio_pika.abc.AbstractExchange | None = None

    def checked(self, document: Document) -> Call:
        """*document* as a call. Raises pydantic's ValidationError."""
        return Call.model_validate(document)

    async def record(self, call: Call, started: float) -> None:
        """Publish the outcome of *call*, which was begun at *started*; returns once the broker confirmed it."""
        same = call.model_dump(
            include={"call_id", "event_id", "source", "event_type", "provider", "operation", "subject"}
        )
        outcome = Outcome(**same, duration_ms=(time.monotonic() - started) * 1000)
        message = aio_pika.Message(
            outcome.model_dump_json().encode(),
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        exchange = self._exchange or await self._open()
        await exchange.publish(message, OUTCOMES, mandatory=True)

    async def _open(self) -> aio_pika.abc.AbstractExchange:
        async with self._opening:
            if self._exchange is None:
                self._connection = await aio_pika.connect(BROKER)
                channel = await self._connection.channel(publisher_confirms=True)
                await channel.declare_queue(OUTCOMES, durable=True, arguments={"x-queue-type": "quorum"})
                self._exchange = channel.default_exchange
            return self._exchange
