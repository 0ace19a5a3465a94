"""Bytes as text, strictly (RFC 4648 sections 3.3 and 3.5), and what services wrap around the text."""

import base64
import binascii
import re
from codecs import BOM_UTF8
from typing import Final, Literal

from tasks.strict_json import MalformedJsonError, decode

Encoding = Literal["base64", "base64url", "hex"]

_HEX: Final = re.compile(rb"[0-9a-f]*|[0-9A-F]*")  # either case, never mixed: a flipped bit must not read the same
_MEMBER: Final = "data"


def encoded(raw: bytes, encoding: Encoding) -> bytes:
    """Return *raw* as ASCII: padded base64 or base64url, or lower-case hex."""
    match encoding:
        case "base64":
            return base64.b64encode(raw)
        case "base64url":
            return base64.urlsafe_b64encode(raw)
        case "hex":
            return binascii.hexlify(raw)


def decoded(text: bytes, encoding: Encoding) -> bytes | None:
    """Return the bytes that *text* stands for, None where it stands for none; padding of base64url is optional."""
    match encoding:
        case "base64":
            return _from_base64(text, b"+/")
        case "base64url":
            return _from_base64(text if b"=" in text else text + b"=" * (-len(text) % 4), b"-_")
        case "hex" if _HEX.fullmatch(text) and len(text) % 2 == 0:
            return binascii.unhexlify(text)
        case _:
            return None


def _from_base64(text: bytes, altchars: bytes) -> bytes | None:
    try:
        raw = base64.b64decode(text, altchars, validate=True)
    except binascii.Error:
        return None
    return raw if base64.b64encode(raw, altchars) == text else None  # spare bits are zero, or it is a second spelling


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
