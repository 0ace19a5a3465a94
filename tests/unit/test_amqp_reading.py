"""Properties that nobody can read: as if they were not there, on either broker."""

from typing import Any

import pytest
from malformed import Unreadable, unreadable

from worker.amqp_reading import _properties, is_readable
from worker.embedded.envelope import Envelope


@pytest.mark.parametrize("case", unreadable(), ids=lambda case: case.body.decode())
def test_properties_that_cannot_be_read_are_as_if_not_there(case: Unreadable) -> None:
    """Neither a name that is bytes nor half a character ever reaches what writes JSON, logs and rows."""
    assert _properties(case._serialize_properties(), 0)[0] == {}


@pytest.mark.parametrize("headers", [{"ce-subject": "\ud800"}, {"\udfff": 1}, {"a": [{"b": ["\udc00"]}]}])
def test_an_embedded_message_that_cannot_be_read_has_no_properties_either(headers: dict[str, Any]) -> None:
    """SQLite keeps JSON, whose escapes can write what UTF-8 cannot."""
    stored = Envelope("application/json", "utf-8", headers, {"delivery_mode": 2}).dump()
    assert Envelope.load(stored) == Envelope(None, None, {}, {})


@pytest.mark.parametrize("value", [{"é": ["\U0001f600", b"\xff", None, 1.5, {"x": {}}]}, {}, "", "x" * 5000])
def test_unicode_text_and_anything_but_text_is_readable(value: object) -> None:
    """Bytes are values like others; only names have to be text."""
    assert is_readable(value)
