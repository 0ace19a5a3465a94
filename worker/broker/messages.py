"""How the project's values look on the wire: bodies and headers of every message it publishes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from tasks.records import DeadLetters
from worker.broker import topology
from worker.broker.publisher import Message

if TYPE_CHECKING:
    from tasks.call import ProviderCall
    from tasks.records import CallOutcome, DeadLetter, EventPlanned

CLOUDEVENTS_JSON: Final = "application/cloudevents+json"
REPLAY_PROVIDER: Final = "x-revocation-provider"  # a replayed event is planned for this provider alone
REPLAYS: Final = "x-revocation-replays"  # how often an event, or one provider's part of it, was replayed
SIGNATURE: Final = "x-revocation-signature"  # a producer's detached JWS over an event's body
USER: Final = "x-revocation-user"  # of a replayed event: the broker user that RabbitMQ vouched for at first
DOOR: Final = "x-revocation-door"  # of an event that came through the Celery door
LETTER: Final = "x-revocation-letter"  # the id of the dead letter that an event is replayed from
VOUCHED_AT: Final = "x-revocation-vouched-at"  # when the voucher was made, in milliseconds since 1970
VOUCHER: Final = "x-revocation-voucher"  # a MAC of ours, without which the others of ours are not believed
SEALED: Final = "(sealed)"  # what Celery shows instead of a task's arguments
_ORIGIN: Final = f"revoker@{socket.gethostname()}"


def call(call: ProviderCall, *, delay: int = 0) -> Message:
    """The Celery task of *call*, kept back for *delay* whole seconds.

    Written after Celery's message protocol, version 2. `argsrepr` and `kwargsrepr` are constant: Celery would
    otherwise write the arguments into a header in clear.
    """
    body = json.dumps([[call.model_dump(mode="json")], {}, _NO_CALLBACKS], separators=(",", ":"))
    return Message(
        topology.CALLS.name,
        topology.calls_key(call.provider, call.lane),
        body.encode(),
        headers=_task_headers(call.operation.value, call.call_id, retries=len(call.attempts)),
        delay=delay,
        correlation_id=call.call_id,
    )


def record(record: EventPlanned | CallOutcome) -> Message:
    """A line for the ledger; what became of an urgent event does not wait behind the others there either."""
    exchange = topology.OUTCOMES_URGENT if record.event_type == topology.URGENT_EVENT else topology.OUTCOMES
    return Message(exchange.name, record.kind, record.model_dump_json().encode())


def dead_letter(letter: DeadLetter) -> Message:
    """A dead letter, on its way to the desk; what nobody proved, and no operator sent, waits for room there."""
    waits = letter.unproved and not letter.replays
    return Message(
        (topology.UNPROVED if waits else topology.DEAD).name,
        letter.kind,
        letter.model_dump_json().encode(),
        headers={"x-dead-reason": letter.reason},
        correlation_id=letter.dead_letter_id,
    )


def dead_letters(letters: Iterable[DeadLetter]) -> list[Message]:
    """*letters* on their way to the desk: those that keep the same message travel together, and it travels once."""
    alike: dict[str | None, list[DeadLetter]] = {}
    for letter in letters:
        alike.setdefault(letter.arrived, []).append(letter)
    return [
        message
        for arrived, several in alike.items()
        for message in (map(dead_letter, several) if arrived is None or len(several) == 1 else [_together(several)])
    ]


def _together(letters: Sequence[DeadLetter]) -> Message:
    told = DeadLetters.of(letters)
    return Message(
        topology.DEAD.name,
        told.kind,
        told.model_dump_json(exclude_defaults=True).encode(),
        headers={"x-dead-reason": letters[0].reason},
        correlation_id=letters[0].dead_letter_id,
    )


def event(
    body: bytes,
    event_type: str,
    *,
    content_type: str | None = CLOUDEVENTS_JSON,
    headers: Mapping[str, object] | None = None,
    only_provider: str | None = None,
) -> Message:
    """An event for the intake; *only_provider* is set by a replay of one provider's part."""
    extra = {REPLAY_PROVIDER: only_provider} if only_provider else {}
    return Message(
        topology.EVENTS.name, event_type, body, content_type=content_type, headers={**(headers or {}), **extra}
    )


_NO_CALLBACKS: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def _task_headers(name: str, task_id: str, *, retries: int) -> dict[str, object]:
    return {
        "lang": "py",
        "task": name,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
        "argsrepr": SEALED,
        "kwargsrepr": SEALED,
        "retries": retries,
        "ignore_result": True,
        "origin": _ORIGIN,
    }
