"""What services put around a coded message: none of it changes what the message says."""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import Final

from tasks.strict_json import MalformedJsonError, decode

_MEMBER: Final = "data"


def unwrapped(body: bytes) -> bytes:
    """Return the coded message in *body*, without a byte order mark, line breaks, JSON quotes and `{"data": …}`.

    Line breaks are those of MIME base64 (RFC 2045 section 6.8), wherever they stand. An object is taken for a wrapping
    where `data` is all that it holds. What is wrapped otherwise comes back as it is, for the coding to refuse.
    """
    bare = body.removeprefix(BOM_UTF8).strip()
    text = _text_in(bare) if bare[:1] in {b'"', b"{"} else None
    message = bare if text is None else text.encode()
    return message.replace(b"\r\n", b"").replace(b"\n", b"").strip()


def _text_in(body: bytes) -> str | None:
    try:
        value = decode(body)
    except MalformedJsonError:
        return None
    if isinstance(value, dict) and value.keys() == {_MEMBER}:
        value = value[_MEMBER]
    return value if isinstance(value, str) else None
