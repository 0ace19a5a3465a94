"""Messages that no task of ours has: what each is, and the reason it has to be given up with."""

import gzip
import json
import os
import pickle
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from struct import pack
from typing import Any, Final

import amqp
from kombu import Connection, Exchange
from provider_calls import session_call

from tasks.call import ProviderCall
from worker.broker import messages

SIGNATURE: dict[str, Any] = {
    "task": "genesys.delete_token",
    "args": [],
    "kwargs": {},
    "options": {},
    "subtask_type": None,
}


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message as it is put on a channel."""

    body: bytes
    headers: Mapping[str, Any]
    content_type: str | None = "application/json"
    content_encoding: str | None = "utf-8"
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Malformed:
    """How a message differs from a good one; what is None is as it should be."""

    name: str
    reason: str
    body: Callable[[bytes], bytes] = bytes  # of the good one's
    headers: Mapping[str, Any] = field(default_factory=dict)
    without: str | None = None  # header
    content_type: str | None = "application/json"
    content_encoding: str | None = "utf-8"

    def envelope(self, jwe: str) -> Envelope:
        """The message, otherwise a good call for the token in *jwe*."""
        good = messages.call(call(jwe))
        headers = {name: value for name, value in {**good.headers, **self.headers}.items() if name != self.without}
        return Envelope(self.body(good.body), headers, self.content_type, self.content_encoding)


def call(jwe: str) -> ProviderCall:
    """A Finbourne call for the token in *jwe*."""
    return session_call(str(uuid.uuid4()), jwe=jwe)


def put(url: str, exchange: Exchange, key: str | bytes, envelopes: "Iterable[Envelope | Unreadable]") -> None:
    """Put *envelopes* on a channel as anybody can who may write there."""
    with Connection(url, transport_options={"confirm_publish": True}) as connection, connection.channel() as channel:
        for each in envelopes:
            message = each if isinstance(each, Unreadable) else _prepared(channel, each)
            channel.basic_publish(message, exchange=exchange.name, routing_key=key, mandatory=True)


def _prepared(channel: Any, envelope: Envelope) -> Any:
    return channel.prepare_message(
        envelope.body,
        content_type=envelope.content_type,
        content_encoding=envelope.content_encoding,
        headers=dict(envelope.headers),
        properties={"delivery_mode": 2, **envelope.properties},
    )


class Unreadable(amqp.Message):  # type: ignore[misc] # py-amqp ships no types
    """A message whose properties are what it is told, byte for byte."""

    def __init__(self, body: bytes, properties: bytes) -> None:
        super().__init__(body)
        self._bytes = properties

    def _serialize_properties(self) -> bytes:
        return self._bytes


def unreadable() -> list[Unreadable]:
    """Messages that RabbitMQ hands on and nobody can read (AMQP 0-9-1, 4.2.5.5 and 4.2.6.1)."""
    headers = {
        "tables within tables": _table(_within(b"F", _KEY)),
        "arrays within arrays": _table(_within(b"A", b"")),
        "a time after the year 9999": _table(b"T" + pack(">Q", 10**15)),
        "a name that is no text": _table(b"V", b"\x02\xff\xfe"),
        "a name that is half a character": _table(b"V", b"\x06ce-" + _SURROGATE),
        "half a character": _table(b"S" + pack(">I", 3) + _SURROGATE),
        "half a character, deep inside": _table(_within(b"A", b"", 3, b"S" + pack(">I", 3) + _SURROGATE)),
    }
    told = {
        **{name: pack(">H", 0x2000) + table for name, table in headers.items()},
        "a content type that is no text": pack(">HB", 0x8000, 2) + b"\xff\xfe",
        "a content type that is half a character": pack(">HB", 0x8000, 3) + _SURROGATE,
        "a message id that is no text": pack(">HB", 0x0080, 2) + b"\xff\xfe",
    }
    return [Unreadable(f"unreadable: {name}".encode(), properties) for name, properties in told.items()]


_KEY: Final = b"\x01a"
_SURROGATE: Final = b"\xed\xa0\x80"


def _within(kind: bytes, key: bytes, levels: int = 3000, value: bytes = b"V") -> bytes:
    for _ in range(levels):
        value = kind + pack(">I", len(key + value)) + key + value
    return value


def _table(value: bytes, key: bytes = _KEY) -> bytes:
    return pack(">I", len(key + value)) + key + value


def malformed(canary: Path) -> list[Malformed]:
    """All of them; a pickle that was opened would leave the file *canary*."""
    return [*_bodies(), *_content(canary), *_tasks(), *_headers(), *_embedded()]


def _bodies() -> Iterator[Malformed]:
    for literal in ("", "[", "{'a': 1}", "[[NaN], {}, {}]", "\ufeff[]", "[" * 100_000, "[[[" * 20 + "]]]" * 20):
        yield Malformed(f"{len(literal)} characters {literal[:12]!r}", "task.malformed_json", _literal(literal))
    yield Malformed("not utf-8", "task.malformed_json", lambda _: b'[["\xff"], {}, {}]')
    yield Malformed("duplicate members", "task.malformed_json", lambda good: good.replace(b"{", b'{"jwe":"x",', 1))
    documents: tuple[Any, ...] = (
        [],
        {},
        None,
        42,
        "x",
        [[]],
        [[], {}],
        [[], {}, {}],
        [{}, [], {}],
        [[{}], {}, []],
        [[{}], {}, {}],
    )
    for document in documents:
        yield Malformed(f"body {document}", "task.invalid_argument", _literal(json.dumps(document)))
    yield Malformed("two arguments", "task.invalid_argument", _changed(lambda args, *_: args.append(1)))
    yield Malformed("a keyword argument", "task.invalid_argument", _changed(lambda _, kw, __: kw.update(x=1)))
    yield Malformed("a member too many", "task.invalid_argument", _changed(lambda args, *_: args[0].update(url="x")))
    yield Malformed("a member missing", "task.invalid_argument", _changed(lambda args, *_: args[0].pop("call_id")))
    yield Malformed("10 MB", "task.too_large", lambda good: good + b" " * 10_000_000)


def _content(canary: Path) -> Iterator[Malformed]:
    for kind in ("application/x-python-serialize", "application/x-yaml", "application/x-msgpack", "text/plain", None):
        yield Malformed(f"content type {kind}", "task.not_json", content_type=kind)
    for encoding in ("binary", "utf-16", "gzip", "no-such-encoding", None):
        yield Malformed(f"content encoding {encoding}", "task.not_json", content_encoding=encoding)
    pickled = pickle.dumps(_Opened(str(canary)))
    yield Malformed("a pickle", "task.not_json", lambda _: pickled, content_type="application/x-python-serialize")
    yield Malformed("a pickle, called JSON", "task.malformed_json", lambda _: pickled)
    yield Malformed("gzip", "task.not_json", gzip.compress, {"compression": "application/x-gzip"})
    yield Malformed("compression of nothing", "task.not_json", headers={"compression": "gzip"})
    yield Malformed("compression is a table", "task.not_json", headers={"compression": {"a": 1}})


def _tasks() -> Iterator[Malformed]:
    names = ("celery.chord_unlock", "celery.backend_cleanup", "celery.map", "celery.starmap", "celery.accumulate")
    for name in (*names, "no.such.task", "", {"a": 1}, ["finbourne.invalidate_token"], 5, None):
        yield Malformed(f"task {name}", "task.unknown", headers={"task": name})
    yield Malformed("no task", "task.unknown", without="task")
    yield Malformed("another task's call", "task.invalid_argument", headers={"task": "genesys.delete_token"})


def _headers() -> Iterator[Malformed]:
    wrong: list[tuple[str, Any]] = [
        *(("id", value) for value in ({"a": 1}, 5, None, "", "x", f"urn:uuid:{uuid.UUID(int=1)}")),
        *(("retries", value) for value in ("3", -1, True, {"a": 1}, None)),
        *(("eta", value) for value in ("9999-12-31T23:59:59+00:00", "2000-01-01T00:00:00+00:00", 5, "soon")),
        *(("expires", value) for value in ("2000-01-01T00:00:00+00:00", "junk", 5, {"a": 1})),
        *(("timelimit", value) for value in ("x", ["a", "b"], [1, 1], [None], 5)),
        *(("stamped_headers", value) for value in (5, ["a"], "a")),
        *(("stamps", value) for value in (5, {"a": "b"})),
        *(("root_id", value) for value in ({"a": 1}, 5)),
        *((name, {"a": 1}) for name in ("parent_id", "group", "argsrepr", "kwargsrepr", "origin", "ignore_result")),
        *((name, "x") for name in ("shadow", "headers", "delivery_info", "reply_to", "args", "is_eager", "get")),
    ]
    for name, value in wrong:
        yield Malformed(f"header {name} {value}", "task.invalid_header", headers={name: value})
    yield Malformed("no id", "task.invalid_header", without="id")


def _embedded() -> Iterator[Malformed]:
    for name in ("callbacks", "errbacks", "chain"):
        yield Malformed(f"{name} in the body", "task.embedded", _changed(_embedding(name, [SIGNATURE])))
        yield Malformed(f"{name} in a header", "task.embedded", headers={name: [SIGNATURE]})
    yield Malformed("chord in the body", "task.embedded", _changed(_embedding("chord", SIGNATURE)))
    yield Malformed("chord in a header", "task.embedded", headers={"chord": SIGNATURE})
    yield Malformed("something else in the body", "task.embedded", _changed(_embedding("id", None)))


def _literal(text: str) -> Callable[[bytes], bytes]:
    return lambda _: text.encode()


def _changed(change: Callable[[Any, Any, Any], object]) -> Callable[[bytes], bytes]:
    def body(good: bytes) -> bytes:
        document = json.loads(good)
        change(*document)
        return json.dumps(document).encode()

    return body


def _embedding(name: str, what: object) -> Callable[[Any, Any, Any], object]:
    return lambda _, __, embed: embed.update({name: what})


class _Opened:
    """What runs when its pickle is opened."""

    def __init__(self, canary: str) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self._canary,)
