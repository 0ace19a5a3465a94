"""What may be kept of a message: a body that was proved harmless, and attributes as the binding writes them."""

import base64
import bz2
import codecs
import gzip
import json
import lzma
import zlib
from datetime import UTC, datetime

import pytest
from event_examples import NOW, STRUCTURED, binary, example, refused
from in_one_test import in_one_test

from tasks.events import InvalidEvent, parse_event
from tasks.events.content_mode import attribute_headers
from tasks.events.parsing import is_storable

JSON_BODY = json.dumps(example("session.ended", lambda event: event.update(type="no.such.type"))).encode()
BODIES: dict[str, bytes] = {
    "gzip": gzip.compress(JSON_BODY), "zlib": zlib.compress(JSON_BODY), "bzip2": bz2.compress(JSON_BODY),
    "xz": lzma.compress(JSON_BODY), "base64": base64.b64encode(JSON_BODY), "hexadecimal": JSON_BODY.hex().encode(),
    "a byte order mark": codecs.BOM_UTF8 + JSON_BODY, "a form": b"access=2YotnFZFEjr1zCsicMWpAA", "cut": JSON_BODY[:-1],
    "two": JSON_BODY * 2, "latin-1": JSON_BODY.replace(b"web-7731", b"\xe9"), "text": b"opaque", "nothing": b"",
    "too deep": b"[" * 33 + b"]" * 33, "duplicate": b'{"a":1,"a":2}', "too large": JSON_BODY.ljust(65_537),
    **{name: JSON_BODY.decode().encode(name) for name in ("utf-16", "utf-16-le", "utf-32", "utf-32-be", "cp037")},
}  # fmt: skip


@in_one_test
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("content_type", [STRUCTURED, "text/plain", None])
def test_a_body_that_is_no_plain_json_is_never_kept(body: bytes, content_type: str | None) -> None:
    """Kept is what was proved harmless, and nothing can be proved of what cannot be read."""
    assert not refused(parse_event(body, now=NOW, content_type=content_type)).body_storable
    assert not is_storable(body, content_type)


def test_a_body_in_a_charset_of_its_own_is_never_kept() -> None:
    """In UTF-7 and its like ASCII is not what it seems."""
    assert refused(parse_event(JSON_BODY, now=NOW, content_type="text/plain")).body_storable
    for charset in ("utf-7", "utf-16", "iso-2022-kr", "hz-gb-2312"):
        refusal = refused(parse_event(JSON_BODY, now=NOW, content_type=f"application/json; charset={charset}"))
        assert (refusal.code.value, refusal.body_storable) == ("not_cloudevents", False)


@pytest.mark.parametrize("prefix", ["ce-", "cloudEvents_", "cloudEvents:"])
def test_typed_attributes_of_binary_mode_are_read_as_the_binding_says(prefix: str) -> None:
    """Timestamps and binaries of any extension take the form they have in JSON (CloudEvents 1.0, section 3)."""
    body, attributes = binary(prefix)
    moment, raw = datetime(2026, 11, 21, 1, 15, 30), b"\x00\xff\x10"  # noqa: DTZ001 (what the client delivers)
    headers = {
        **attributes,
        f"{prefix}sentat": moment,
        f"{prefix}digest": raw,
        f"{prefix}hop": 3,
        f"{prefix}test": True,
    }
    event = parse_event(body, now=NOW, headers=headers)
    assert not isinstance(event, InvalidEvent)
    assert event.model_extra == {"sentat": "2026-11-21T01:15:30+00:00", "digest": "AP8Q", "hop": 3, "test": True}
    kept = attribute_headers(headers)
    assert parse_event(body, now=NOW, headers=kept) == event
    aware = {**attributes, f"{prefix}time": moment.replace(tzinfo=UTC)}
    assert not isinstance(parse_event(body, now=NOW, headers=aware), InvalidEvent)
