"""What strangers send: documents spoilt byte by byte, values nobody expects, and bodies made to break a parser."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

# A token in clear, between characters that cannot be part of one: told anywhere, it is a leak.
SECRET = "/eyJhbGciOiJub25lIn0.c2VjcmV0LXNlY3JldA.c2lnbmF0dXJl/"

_DIGITS = b"9" * 400
BODIES: Mapping[str, bytes] = {
    "nothing": b"",
    "10 MB of spaces": b" " * 10_000_000,
    "10 MB of text": b'"' + b"x" * 10_000_000 + b'"',
    "10 MB of digits": b"9" * 10_000_000,
    "10 MB of members": b'{"a":1' + b',"a":1' * 1_600_000 + b"}",
    "100 000 arrays": b"[" * 100_000,
    "100 000 arrays, closed": b"[" * 100_000 + b"]" * 100_000,
    "100 000 objects": b'{"a":' * 100_000,
    "duplicate members": b'{"id":"a","id":"b","resCode":100,"resCode":500}',
    "a lone surrogate, escaped": b'{"resCode":"\\ud800","code":"\\udfff","\\ud800":1}',
    "a lone surrogate, in bytes": b'{"code":"\xed\xa0\x80"}',
    "an integer of 400 digits": b'{"resCode":%s,"expires_in":%s,"code":%s}' % (_DIGITS, _DIGITS, _DIGITS),
    "an integer of 5000 digits": b'{"resCode":' + b"9" * 5000 + b"}",
    "a number beyond a double": b'{"resCode":1e999,"expires_in":1e999}',
    "NaN and Infinity": b'{"resCode":NaN,"expires_in":Infinity,"code":-Infinity}',
    "a byte order mark": b'\xef\xbb\xbf{"resCode":100}',
    "utf-16": '{"resCode":100}'.encode("utf-16"),
    "zero bytes": bytes(1000),
    "a token in clear": f'{{"access_token":"{SECRET}","token":"{SECRET}","code":"{SECRET}"}}'.encode(),
    "a token in clear, and no JSON": f'{{"code":"{SECRET}"'.encode(),
}

_PIECES = [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b".", b"=", b"null", b"true", b"NaN", b"1e999", b"-0",
           b"\0", b"\\ud800", b"\xed\xa0\x80", b"\xff\xfe", b"\xef\xbb\xbf", _DIGITS, b"9" * 5000, b"[" * 2000,
           SECRET.encode(), b'"' + SECRET.encode() + b'"', b'"id":"x",', b"\r\n", b"\n", b" "]  # fmt: skip


@st.composite
def spoilt(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Return one of *seeds* with up to four cuts, each filled with what hurts."""
    body = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start, length = draw(st.integers(0, len(body))), draw(st.integers(0, 8))
        body = body[:start] + draw(st.sampled_from(_PIECES) | st.binary(max_size=4)) + body[start + length :]
    return body


TEXT = st.text(st.characters(codec=None), max_size=20) | st.sampled_from([SECRET, "", "\ud800", f"Bearer {SECRET}"])
NUMBERS = st.sampled_from([0, 1, -1, 100, 2**31, 2**63, -(2**63), 10**400, 1.5, -0.0, float("nan"), float("inf")])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def members(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with any values at *names*, and sometimes elsewhere."""
    return st.dictionaries(st.sampled_from(names) | TEXT, VALUES, max_size=5)


def written(value: object) -> bytes:
    """Return *value* as JSON, or what passes for it."""
    return json.dumps(value).encode()


_TABLE_VALUES = st.recursive(
    st.one_of(
        TEXT,
        st.binary(max_size=8),
        st.integers(-(2**63), 2**63 - 1),
        st.booleans(),
        st.none(),
        st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)),  # noqa: DTZ001 - AMQP has no zones
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)


def tables(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return AMQP tables with any values at *names*, and sometimes elsewhere."""
    return st.dictionaries(st.sampled_from(names) | TEXT, _TABLE_VALUES, max_size=6)
