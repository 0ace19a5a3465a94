"""Properties that nobody can read: as if they were not there, on either broker, and nothing else with them."""

import struct
from datetime import datetime
from typing import Any

import pytest
from amqp.transport import TCPTransport
from event_examples import binary
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu.message import Message
from malformed import Unreadable, unreadable

from worker.broker.amqp_salvage import salvaged
from worker.broker.embedded.properties import MessageProperties
from worker.broker.provenance import ProvenanceMac
from worker.broker.pyamqp import READ_SIZE, _properties, is_readable, read_ahead
from worker.intake.authorization import Authorizer
from worker.intake.intake import Controls, Intake
from worker.settings.sections import SourceSettings

SURROGATE = b"\xed\xa0\x80"


def short(text: bytes) -> bytes:
    """Short text, as AMQP has it."""
    return bytes([len(text)]) + text


def long(text: bytes) -> bytes:
    """Long text, a table or an array."""
    return struct.pack(">I", len(text)) + text


def time(number: int) -> bytes:
    """A timestamp of that many seconds."""
    return b"T" + struct.pack(">Q", number % 2**64)


def within(kind: bytes, levels: int) -> bytes:
    """Tables or arrays within each other."""
    value = b"V"
    for _ in range(levels):
        value = kind + long((b"\x01a" if kind == b"F" else b"") + value)
    return value


NO_GOOD: dict[str, bytes] = {
    "a time in milliseconds": short(b"x-sent-at") + time(1_764_164_877_000),
    "a time in microseconds": short(b"x-sent-at") + time(1_764_164_877_000_000),
    "a time before 1970": short(b"x-sent-at") + time(-1),
    "a time after the year 9999": short(b"x-sent-at") + time(253_402_300_800),
    "no end of tables": short(b"deep") + within(b"F", 3000),
    "tables a little too deep": short(b"deep") + within(b"F", 20),
    "no end of arrays": short(b"deep") + within(b"A", 3000),
    "a name that is no UTF-8": short(b"\xff\xfe") + b"V",
    "a name that is half a character": short(b"ce-" + SURROGATE) + b"V",
    "half a character": short(b"odd") + b"S" + long(SURROGATE),
}
AT_THE_END: dict[str, bytes] = {
    "a type that nobody knows": short(b"odd") + b"?whatever",
    "a value that ends too early": short(b"odd") + b"S" + struct.pack(">I", 900) + b"x",
    "a name that ends too early": b"\xff" + b"x",
}
GOOD = {
    "x-revocation-signature": "a..b",
    "ce-id": "1",
    "n": 5,
    "at": datetime(2026, 11, 21),  # noqa: DTZ001 (what the client delivers)
    "raw": b"\xff",
    "t": {"a": [1]},
}
BEFORE = short(b"x-revocation-signature") + b"S" + long(b"a..b") + short(b"ce-id") + b"S" + long(b"1")
AFTER = (
    short(b"n") + b"I" + struct.pack(">i", 5)
    + short(b"at") + time(1_795_219_200) + short(b"raw") + b"x" + long(b"\xff")
    + short(b"t") + b"F" + long(short(b"a") + b"A" + long(b"b\x01"))
)  # fmt: skip


def frame(*entries: bytes) -> bytes:
    """A content type, headers, a user and an application."""
    headers = long(b"".join(entries))
    return struct.pack(">H", 0xA018) + short(b"application/json") + headers + short(b"guest") + short(b"app")


OTHERS = {"content_type": "application/json", "user_id": "guest", "app_id": "app"}


@pytest.mark.parametrize("bad", NO_GOOD.values(), ids=NO_GOOD)
def test_only_the_header_that_cannot_be_read_is_left_out(bad: bytes) -> None:
    """Who sent the message, its signature and its attributes are there as if it had none such."""
    properties, end = _properties(frame(BEFORE, bad, AFTER), 0)
    headers = properties.pop("application_headers")
    assert properties == OTHERS
    assert {name: headers[name] for name in GOOD} == GOOD
    assert headers.keys() - GOOD.keys() <= {"deep"}
    assert is_readable(headers)
    assert end == len(frame(BEFORE, bad, AFTER))


@pytest.mark.parametrize("bad", NO_GOOD.values(), ids=NO_GOOD)
def test_an_event_beside_a_header_that_cannot_be_read_is_let_in(bad: bytes) -> None:
    """In binary mode, proved by the user whom RabbitMQ vouched for: neither the proof nor an attribute is missing."""
    data, attributes = binary("ce-")
    attributes |= {"ce-time": "2020-01-01T00:00:00Z"}
    attributes.pop("ce-expirytime", None)
    entries = [short(name.encode()) + b"S" + long(str(value).encode()) for name, value in attributes.items()]
    properties, _ = _properties(frame(bad, *entries), 0)
    message = Message(
        data, content_type=properties["content_type"], headers=properties["application_headers"], properties=properties
    )
    source = SourceSettings(source=str(attributes["ce-source"]), users=frozenset({"guest"}))
    nothing: Any = None
    controls = Controls(ProvenanceMac(b"k" * 32), Authorizer({"hr": source}, proves_users=True), nothing, nothing)
    assert Intake(nothing, nothing, controls).read(message).accepted


@pytest.mark.parametrize("bad", AT_THE_END.values(), ids=AT_THE_END)
def test_what_stands_before_a_header_without_an_end_is_read(bad: bytes) -> None:
    """What comes after it in the table nobody can tell from it; what comes after the table, everybody can."""
    properties, _ = _properties(frame(BEFORE, AFTER, bad), 0)
    assert properties.pop("application_headers") == GOOD
    assert properties == OTHERS


@pytest.mark.parametrize("place", ["content_type", "user_id", "app_id"])
@pytest.mark.parametrize("text", [b"\xff\xfe", SURROGATE])
def test_a_property_that_is_no_text_takes_no_other_along(place: str, text: bytes) -> None:
    """A message id that is none is no reason to doubt who sent the message."""
    told = {"content_type": b"application/json", "user_id": b"guest", "app_id": b"app", place: text}
    parts = [short(told["content_type"]), long(BEFORE), short(told["user_id"]), short(told["app_id"])]
    properties, _ = _properties(struct.pack(">H", 0xA018) + b"".join(parts), 0)
    assert properties.pop("application_headers") == {"x-revocation-signature": "a..b", "ce-id": "1"}
    assert properties == {name: value for name, value in OTHERS.items() if name != place}


@pytest.mark.parametrize("case", unreadable(), ids=lambda case: case.body.decode())
def test_properties_that_cannot_be_read_are_as_if_not_there(case: Unreadable) -> None:
    """Neither a name that is bytes nor half a character ever reaches what writes JSON, logs and rows."""
    properties, _ = _properties(case._serialize_properties(), 0)
    assert properties.keys() <= {"application_headers"}
    assert is_readable(properties)


@given(st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 2**16 - 1))
@settings(max_examples=500, deadline=None, database=None)
def test_no_bytes_in_the_place_of_properties_stop_the_reader(table: bytes, rest: bytes, flags: int) -> None:
    """Whatever a broker hands on: what is read can be written again."""
    for data in (
        struct.pack(">H", flags) + rest,
        frame(BEFORE, table, AFTER),
        struct.pack(">H", flags) + long(table) + rest,
    ):
        assert is_readable(_properties(data, 0)[0])
        assert isinstance(salvaged(data, 0), dict)


@pytest.mark.parametrize(
    ("headers", "left"),
    [({"ce-subject": "\ud800"}, {}), ({"\udfff": 1}, {}), ({"a": [{"b": ["\udc00", 1]}]}, {"a": [{"b": [1]}]})],
)
def test_an_embedded_message_loses_only_what_cannot_be_read(headers: dict[str, Any], left: dict[str, Any]) -> None:
    """SQLite keeps JSON, whose escapes can write what UTF-8 cannot."""
    stored = MessageProperties("application/json", "utf-8", {**headers, "ce-id": "1"}, {"delivery_mode": 2}).dump()
    assert MessageProperties.load(stored) == MessageProperties(
        "application/json", "utf-8", {**left, "ce-id": "1"}, {"delivery_mode": 2}
    )


@pytest.mark.parametrize(
    "text", ["", "[", "[]", "5", '{"headers": 5}', "[" * 100_000, '{"x": 1}', '{"content_type": {}}']
)
def test_an_embedded_message_of_nonsense_is_one_without_properties(text: str) -> None:
    """Whoever may write the file writes anything."""
    assert MessageProperties.load(text) == MessageProperties(None, None, {}, {})


@pytest.mark.parametrize("at", [datetime.min, datetime.max])  # noqa: DTZ901 - as a client of AMQP has them
def test_a_time_at_either_end_of_the_calendar_goes_through_the_embedded_broker(at: datetime) -> None:
    """A time without a zone is in UTC, as with RabbitMQ."""
    [loaded] = MessageProperties.load(MessageProperties(None, None, {"at": at}, {}).dump()).headers.values()
    assert loaded.replace(tzinfo=None) == at


@pytest.mark.parametrize("value", [{"é": ["\U0001f600", b"\xff", None, 1.5, {"x": {}}]}, {}, "", "x" * 5000])
def test_unicode_text_and_anything_but_text_is_readable(value: object) -> None:
    """Bytes are values like others; only names have to be text."""
    assert is_readable(value)


class Line:
    """A socket that has everything already, and counts how often it is asked."""

    def __init__(self, content: bytes) -> None:
        self.content, self.asked = content, 0

    def recv(self, size: int) -> bytes:
        """Return at most *size* bytes; what is at its end raises as a socket does that has no more for now."""
        self.asked += 1
        if not self.content:
            raise TimeoutError
        taken, self.content = self.content[:size], self.content[size:]
        return taken


def test_frames_that_have_arrived_are_read_together() -> None:
    """Each as it was, over the end of what one read brings; then the transport times out as it does by itself."""
    payloads = [bytes([n]) * (n * 37) for n in range(200)]
    frames = b"".join(struct.pack(">BHI", 8, 0, len(each)) + each + b"\xce" for each in payloads)
    transport: Any = TCPTransport("nowhere")
    line = Line(frames)
    transport._read_buffer, transport._quick_recv = b"", line.recv
    read_ahead(transport)
    assert [bytes(transport.read_frame()[2]) for _ in payloads] == payloads
    assert line.asked <= len(frames) / READ_SIZE + 1
    with pytest.raises(TimeoutError):
        transport.read_frame()
