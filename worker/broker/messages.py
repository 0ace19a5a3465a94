"""The project's values on the wire: bodies and headers of every message it publishes."""

import hashlib
import json
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from kombu.message import Message as Delivered

from tasks import records
from tasks.call import ProviderCall
from tasks.records import CallOutcome, DeadLetter, DeadLetters, EventPlanned
from worker.broker import topology
from worker.broker.publication import Message
from worker.observability.tracing.names import TRACEPARENT, TRACES

CELERY_DOOR: Final = "celery"  # the tasks that are named like types of events
DESK_DOOR: Final = "desk"  # an operator corrected the event
_CONFIGURED: Final = "doors."  # before the name of a door of the settings: none is called like those above
CLOUDEVENTS_JSON: Final = "application/cloudevents+json"
REPLAY_PROVIDER: Final = "x-revocation-provider"  # a replayed event is planned for this provider alone
REPLAYS: Final = "x-revocation-replays"  # how often an event, or one provider's part of it, was replayed
SIGNATURE: Final = "x-revocation-signature"  # a producer's detached JWS over an event's body
USER: Final = "x-revocation-user"  # of a replayed event: the broker user that RabbitMQ vouched for at first
DOOR: Final = "x-revocation-door"  # the name of the door that an event came in by
LETTER: Final = "x-revocation-letter"  # the id of the dead letter that an event is replayed from
VOUCHED_AT: Final = "x-revocation-vouched-at"  # when the voucher was made, in milliseconds since 1970
VOUCHER: Final = "x-revocation-voucher"  # a MAC of ours, without which the others of ours are not believed
SEALED: Final = "(sealed)"  # what Celery shows instead of a task's arguments
PACK: Final = "records"  # the kind of several records in one message
_RECORD_EXCHANGES: Final = {topology.OUTCOMES.name, topology.OUTCOMES_URGENT.name}
_RECORD_KEYS: Final = {"planned", "outcome"}  # their kinds
_ORIGIN: Final = f"revoker@{socket.gethostname()}"
_BROKER_PREFIX: Final = "x-"  # of the broker's own headers, which change with every delivery
_OUR_PREFIX: Final = "x-revocation-"
_NO_CALLBACKS: Final = json.dumps(dict.fromkeys(("callbacks", "errbacks", "chain", "chord")))


def call(call: ProviderCall, *, delay: int = 0) -> Message:
    """The Celery task of *call*, kept back for *delay* whole seconds.

    Written after Celery's message protocol, version 2. `argsrepr` and `kwargsrepr` are constant: Celery would
    otherwise write the arguments into a header in clear.
    """
    return Message(
        topology.CALLS.name,
        topology.calls_key(call.provider, call.lane),
        f"[[{call.model_dump_json()}],{{}},{_NO_CALLBACKS}]".encode(),
        headers=_task_headers(call.operation, call.call_id, retries=len(call.attempts)),
        delay=delay,
        correlation_id=call.call_id,
    )


def record(record: EventPlanned | CallOutcome) -> Message:
    """A record for the ledger; that of an urgent event does not wait behind the others there either."""
    exchange = topology.OUTCOMES_URGENT if record.event_type in topology.URGENT_EVENTS else topology.OUTCOMES
    return Message(exchange.name, record.kind, record.model_dump_json().encode())


def is_record(message: Message) -> bool:
    """Whether *message* is one that `record` made."""
    return message.routing_key in _RECORD_KEYS and message.exchange in _RECORD_EXCHANGES


def pack(records: Sequence[Message]) -> Message:
    """Several messages that `record` made, of one exchange, as one: a `tasks.records.Records`."""
    body = b'{"kind":"%s","records":[%s]}' % (PACK.encode(), b",".join(each.body for each in records))
    traces = [str(each.headers[TRACEPARENT]) for each in records if each.headers]
    return Message(records[0].exchange, PACK, body, headers={TRACES: ",".join(traces)} if traces else {})


def traced(message: Message, headers: Mapping[str, object]) -> Message:
    """*message* with the *headers* that carry its span on."""
    return replace(message, headers={**message.headers, **headers})


def traces_of(message: Delivered) -> list[str]:
    """The `traceparent` of what is in *message*: of a record or dead letter, or of each record of a pack."""
    return [each for name in (TRACEPARENT, TRACES) for each in str(message.headers.get(name) or "").split(",") if each]


def dead_letter(letter: DeadLetter) -> Message:
    """A dead letter, on its way to the desk; what nobody proved, and no operator sent, waits for room there."""
    waits = letter.unproved and not letter.replays
    exchange = topology.UNPROVED if waits else topology.DEAD
    return _of_dead(letter, exchange.name, letter.kind, letter.model_dump_json())


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
    together = DeadLetters.of(letters)
    body = together.model_dump_json(exclude_defaults=True)
    return _of_dead(letters[0], topology.DEAD.name, together.kind, body)


def _of_dead(letter: DeadLetter, exchange: str, kind: str, body: str) -> Message:
    headers, name = {"x-dead-reason": letter.reason}, letter.dead_letter_id
    return Message(exchange, kind, body.encode(), headers=headers, correlation_id=name)


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


def door(name: str) -> str:
    """How the door *name* of the settings is called in the header DOOR."""
    return f"{_CONFIGURED}{name}"


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


def body_of(message: Delivered) -> bytes:
    """The bytes that arrived."""
    body: Any = message.body
    return body if isinstance(body, bytes) else str(body).encode(errors="surrogatepass")


def unreadable_letter(
    message: Delivered, reason: str, detail: Mapping[str, str] | None = None, *, part: bytes | None = None
) -> DeadLetter:
    """The dead letter of a message that is not ours: its hash and size without its body, which may hold anything.

    *part* stands for the body where only that part of it is not ours. Each delivery of one message has the same letter
    id.
    """
    body = body_of(message) if part is None else part
    return DeadLetter(
        kind="message",
        dead_letter_id=records.dead_letter_id("message", records.digest(body, _sent_with(message))),
        reason=reason,
        at=datetime.now(UTC),
        detail=dict(detail or {}),
        body_sha256=hashlib.sha256(body).hexdigest(),
        body_size=len(body),
        content_type=message.content_type,
        redelivered=bool(message.delivery_info.get("redelivered")),
    )


def _sent_with(message: Delivered) -> bytes:
    """Everything beside the body that the sender wrote, or that the broker proved of the sender."""
    names = [each for each in message.headers if each.startswith(_OUR_PREFIX) or not each.startswith(_BROKER_PREFIX)]
    own = sorted((name, repr(message.headers[name])) for name in names)
    user = message.properties.get("user_id")
    return repr((message.content_type, message.content_encoding, user, own)).encode(errors="backslashreplace")
