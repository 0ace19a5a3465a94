"""Intakes on one ledger, events as they arrive there, and a broker whose answers a test decides."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tasks.subject_index import SubjectIndex
from worker.broker import topology
from worker.broker.messages import CLOUDEVENTS_JSON
from worker.broker.publication import Message, PublishError, Refused, Unconfirmed, Unroutable
from worker.intake import dedup_store
from worker.intake.intake import Intake
from worker.ledger import Ledger

USER_ID = "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77"
SUBJECTS = SubjectIndex(b"k" * 32)
FEW = {"user.disabled": 3, "session.ended": 3}
CALLS, RECORDS, DEAD = topology.CALLS.name, topology.OUTCOMES_URGENT.name, topology.DEAD.name
Fate = Callable[[Message], PublishError | None]
Start = Callable[..., Intake]


class Arrived:
    """An event as it comes out of the queue that its routing key led it to."""

    def __init__(self, event: Mapping[str, Any], key: str = "user.disabled") -> None:
        told = {"specversion": "1.0", "source": "urn:test", "time": datetime.now(UTC).isoformat()}
        self.body = json.dumps({**told, **event}).encode()
        self.content_type = CLOUDEVENTS_JSON
        self.headers: dict[str, object] = {}
        self.properties: dict[str, object] = {}
        self.delivery_info = {"redelivered": False, "routing_key": key}


class Delivered(Arrived):
    """A user.disabled."""

    def __init__(self, event_id: str, user_id: str = USER_ID, key: str = "user.disabled", **data: Any) -> None:
        people = {"sub_id": {"format": "opaque", "id": user_id}, "accounts": {"genesys": {"user_id": user_id}}}
        super().__init__({"id": event_id, "type": "user.disabled", "data": {**people, **data}}, key)


class Broker:
    """A publisher whose *fate* says what becomes of each message; what was confirmed is kept."""

    def __init__(self) -> None:
        self.fate: Fate = lambda _: None
        self.sent: list[Message] = []
        self.confirmed: list[Message] = []

    def publish(self, batch: Sequence[Message]) -> list[PublishError | None]:
        """As a publisher does."""
        return self.begin(batch)()

    def begin(self, batch: Sequence[Message]) -> Callable[[], list[PublishError | None]]:
        """Likewise; what becomes of a message is known once that is waited for."""
        self.sent += batch
        return partial(self._answers, batch)

    def _answers(self, batch: Sequence[Message]) -> list[PublishError | None]:
        results = [self.fate(message) for message in batch]
        self.confirmed += [message for message, failure in zip(batch, results, strict=True) if failure is None]
        return results

    def count(self, exchange: str) -> int:
        """How many messages it took for *exchange*."""
        return sum(message.exchange == exchange for message in self.confirmed)


def handled(intake: Intake, *batch: Arrived) -> list[Any]:
    """What of *batch* is not done, as the consuming loop hears it."""
    messages: Any = batch
    return list(intake.begin(messages)())


def failing(exchange: str, failure: PublishError, event_id: str = "") -> Fate:
    """The fate of what goes to *exchange*, of one event if it is named."""
    return lambda message: failure if message.exchange == exchange and event_id.encode() in message.body else None


def is_remembered(ledger: Ledger, intake: Intake, delivered: Delivered) -> bool:
    """Whether the event counts as published, for every process."""
    message: Any = delivered
    event = intake.read(message).accepted
    assert event is not None
    return dedup_store.claim(ledger.database, [], [event.identity])[event.identity].published


FAILURES = [Unconfirmed("no confirm"), Refused("full"), Unroutable("nobody")]
ROUTINE, UNPROVED = topology.ROUTINE_EVENTS.name, topology.UNPROVED.name
