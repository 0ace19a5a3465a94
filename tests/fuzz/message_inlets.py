"""Where messages come in: what is drawn for events, tasks and sealed credentials, and all that is told of them."""

import json
from collections.abc import Mapping
from datetime import timedelta
from importlib import resources
from typing import Any, cast

from amqp.basic_message import Message as Amqp
from hostile import TEXT, VALUES, spoilt, tables, written
from hypothesis import strategies as st
from inlet import Inlet
from kombu.message import Message
from provider_calls import session_call

from tasks.call import Lane
from tasks.plan import Catalogue, Instance
from tasks.providers import KINDS, operations
from tasks.revocations import call_for
from tasks.sealing import KeyRing, SealError, generate_key, seal
from tasks.subject_index import SubjectIndex
from worker.broker import messages
from worker.broker.connection import prepare
from worker.broker.messages import unreadable_letter
from worker.broker.provenance import ProvenanceMac
from worker.broker.pyamqp import _properties
from worker.engine.message_check import MessageCheck
from worker.intake.authorization import Authorizer
from worker.intake.intake import Controls, Intake

prepare()

Parts = tuple[bytes, Mapping[str, Any], Mapping[str, str]]  # body, headers, properties
_PROPERTIES = {"content_type": "application/cloudevents+json", "content_encoding": "utf-8"}
_TASK_PROPERTIES = {"content_type": "application/json", "content_encoding": "utf-8"}


def _message(parts: Parts) -> Message:
    """The message as the client reads it from the wire."""
    body, headers, properties = parts
    try:
        frame = Amqp(body, application_headers=dict(headers), **properties)._serialize_properties()
    except (UnicodeEncodeError, OverflowError, ValueError):  # names too long for the wire
        frame = Amqp(body)._serialize_properties()
    read = _properties(frame, 0)[0]
    told = {name: read.get(name) for name in ("content_type", "content_encoding")}
    return Message(body, headers=read.get("application_headers"), **told)


_INSTANCES = {name: Instance(name, kind, "https://idp.example.com/") for name, kind in KINDS.items()}
_BUDGETS = dict.fromkeys(Lane, timedelta(days=3650))
_CONTROLS = Controls(ProvenanceMac(b"k" * 32), Authorizer({}, proves_users=False), cast("Any", None), cast("Any", None))
_INTAKE = Intake(Catalogue(_INSTANCES, _BUDGETS, SubjectIndex(b"k" * 32)), cast("Any", None), _CONTROLS)
_EVENTS = [(resources.files("tasks") / "contracts" / f"{name}.json").read_bytes()
           for name in ("session.ended", "user.disabled", "user.enabled", "session.started")]  # fmt: skip
_DATA = [written(json.loads(event)["data"]) for event in _EVENTS]
_ATTRIBUTES = {f"ce-{name}": value for name, value in json.loads(_EVENTS[1]).items() if name != "data"}
_NAMES = [
    prefix + name for prefix in ("ce-", "cloudEvents:", "cloudEvents_") for name in ("id", "time", "type", "note")
]
_OURS = [messages.REPLAY_PROVIDER, messages.REPLAYS, messages.LETTER, messages.VOUCHED_AT, messages.VOUCHER]
_OURS += [messages.SIGNATURE, *_NAMES]
_CONTENT_TYPES = TEXT | st.sampled_from(["", "application/json", _PROPERTIES["content_type"], 'a/b; c="'])


def _tell_event(parts: Parts) -> object:
    incoming = _INTAKE.read(_message(parts))
    incoming.plan = _INTAKE.plan(incoming)
    return [(each.headers, each.body, json.loads(each.body)) for each in _INTAKE.publications(incoming)]


def _content_type(kind: str) -> dict[str, str]:
    return {"content_type": kind}


_CALL = messages.call(session_call("e1", jwe="a.b.c.d.e"))
_ENVELOPE = MessageCheck({each: call_for(each) for each in operations()})


def _tell_task(parts: Parts) -> object:
    message = _message(parts)
    fault = _ENVELOPE.fault_of(message)
    return fault and (fault, unreadable_letter(message, fault.reason, fault.detail).model_dump_json())


_KEYS = [generate_key("fuzz-okp"), generate_key("fuzz-ec", curve="P-256"), generate_key("fuzz-rsa", "RSA-OAEP-256")]
_RING = KeyRing(_KEYS)
_SEALED = [seal("a-token", "genesys", key).encode() for key in _KEYS]


def _tell_seal(jwe: bytes) -> object:
    try:
        return _RING.open(jwe.decode("utf-8", "surrogateescape"), "genesys")
    except SealError as error:
        return error.args, error.__cause__, error.__context__


MESSAGES: list[Inlet] = [
    Inlet(
        "event, structured",
        st.tuples(spoilt(_EVENTS) | VALUES.map(written), tables(*_OURS), st.just(_PROPERTIES)),
        _tell_event,
        lambda body: (body, {}, _PROPERTIES),
    ),
    Inlet(
        "event, binary",
        st.tuples(
            spoilt(_DATA),
            tables(*_OURS).map(lambda table: {**_ATTRIBUTES, **table}),
            _CONTENT_TYPES.map(_content_type),
        ),
        _tell_event,
        lambda body: (body, _ATTRIBUTES, {}),
    ),
    Inlet(
        "task",
        st.tuples(
            spoilt([_CALL.body]),
            tables(*_CALL.headers).map(lambda table: {**_CALL.headers, **table}),
            st.just(_TASK_PROPERTIES) | _CONTENT_TYPES.map(_content_type),
        ),
        _tell_task,
        lambda body: (body, _CALL.headers, _TASK_PROPERTIES),
    ),
    Inlet("sealed credential", spoilt(_SEALED) | st.binary(), _tell_seal, bytes),
]
