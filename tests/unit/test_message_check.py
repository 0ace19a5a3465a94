"""The check before Celery: a good message passes as it is, each malformed one is given up with its reason."""

from pathlib import Path
from typing import Any

import pytest
from in_one_test import in_one_test
from kombu.message import Message
from malformed import Envelope, Malformed, call, malformed

from tasks.providers import operations
from tasks.records import DeadLetter
from tasks.revocations import call_for
from worker.broker import messages
from worker.broker.connection import prepare
from worker.broker.messages import unreadable_letter
from worker.engine.message_check import MessageCheck

TABLE = malformed(Path("never-made"))
CHECK = MessageCheck({each: call_for(each) for each in operations()})


def delivered(envelope: Envelope) -> Message:
    """A message as kombu hands it over."""
    prepare()
    return Message(
        envelope.body,
        headers=dict(envelope.headers),
        content_type=envelope.content_type,
        content_encoding=envelope.content_encoding,
    )


def good(**headers: Any) -> Message:
    """A call of ours, with these headers as well."""
    made = messages.call(call("jwe"))
    return delivered(Envelope(made.body, {**made.headers, **headers}))


def test_a_call_of_ours_passes_with_its_argument_opened() -> None:
    """The task gets what the check made of it: a message is read once."""
    message = good()
    assert CHECK.fault_of(message) is None
    [[argument], keywords, embedded] = message.payload
    assert argument == call("jwe").model_copy(update={"call_id": argument.call_id, **_times(argument)})
    assert (keywords, any(embedded.values())) == ({}, False)


def _times(made: Any) -> dict[str, Any]:
    return {name: getattr(made, name) for name in ("event_id", "occurred_at", "deadline")}


@pytest.mark.parametrize(
    "headers",
    [
        {"stamps": {}, "stamped_headers": None, "group_index": None, "replaced_task_nesting": 0, "shadow": None},
        {"timelimit": None, "parent_id": "p", "group": "g", "ignore_result": False},
        {"headers": {"sentry-trace": "x"}, "baggage": "x", "traceparent": "x", "x-death": "y", "anything": {"else": 1}},
    ],
)
def test_what_celery_and_tracers_send_passes(headers: dict[str, Any]) -> None:
    """The trusted door is for Celery's own `send_task`, with its headers and those of others."""
    assert CHECK.fault_of(good(**headers)) is None


@in_one_test
@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_a_malformed_message_is_given_up_with_its_reason(case: Malformed) -> None:
    """By allow-list: what is not known to be right is wrong. The detail names a place, never a value."""
    fault = CHECK.fault_of(delivered(case.envelope("jwe")))
    assert fault is not None
    assert fault.reason == case.reason
    assert set(fault.detail.values()) <= {*case.headers, case.without}


def test_there_are_forty_of_them_and_each_is_another() -> None:
    """Twice as many, with names of their own."""
    assert len({case.name for case in TABLE}) == len(TABLE) >= 80


def letter(case: Malformed, **headers: Any) -> DeadLetter:
    """What is told of that message when the broker has added *headers*."""
    made = case.envelope("jwe")
    return unreadable_letter(delivered(Envelope(b"[]", {**case.headers, **headers}, made.content_type)), case.reason)


def test_each_has_a_dead_letter_of_its_own_however_often_it_is_delivered() -> None:
    """Same body, other headers: two rows. Same message, delivered again: the same row."""
    cases = [case for case in TABLE if case.headers]
    assert len({letter(case).dead_letter_id for case in cases}) == len(cases)
    again = letter(cases[0], **{"x-delivery-count": 3, "x-acquired-count": 2})
    assert again.dead_letter_id == letter(cases[0]).dead_letter_id


def test_a_dead_letter_of_a_malformed_message_keeps_nothing_of_it() -> None:
    """Nobody knows what it holds: hash and size are enough to recognise it."""
    made = unreadable_letter(
        delivered(Envelope(b'{"token": "secret-of-somebody"}', {"task": "secret-task"})), "task.unknown"
    )
    assert "secret" not in made.model_dump_json()
    assert made.body_size == 31


def test_a_token_in_a_content_type_is_not_kept() -> None:
    """A producer writes there what it likes; what stands there otherwise is kept."""
    token, kept = (Envelope(b"[]", {}, kind) for kind in ("text/plain; x=eyJhbGciOiJub25lIn0.e30.c2ln", "text/plain"))
    assert "eyJ" not in unreadable_letter(delivered(token), "task.not_json").model_dump_json()
    assert unreadable_letter(delivered(kept), "task.not_json").content_type == "text/plain"
