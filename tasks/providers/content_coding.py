"""Bodies that come compressed though we ask for `identity`: gateways do so (RFC 9110 section 8.4)."""

import zlib
from collections.abc import Mapping
from typing import Final

_GZIP: Final = 16 + zlib.MAX_WBITS
_WINDOWS: Final[Mapping[str, tuple[int, ...]]] = {
    "gzip": (_GZIP,),
    "x-gzip": (_GZIP,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),  # as RFC 9110 section 8.4.1.2 has it, and as some servers send it
}


def plain_body(body: bytes, headers: Mapping[str, str], cap: int) -> tuple[bytes, str | None]:
    """Return *body* without its content coding, and no name; or as it came, and the name of what was not understood.

    Nothing beyond *cap* bytes is unpacked. Not understood is another coding than gzip and deflate, more than one, and a
    body that is cut, that goes on behind its end, or that is larger than *cap*.
    """
    codings = _codings(headers)
    if not body or not codings:
        return body, None
    windows = _WINDOWS.get(codings[0], ()) if len(codings) == 1 else ()
    unpacked = (_unpacked(body, window, cap) for window in windows)
    plain = next((each for each in unpacked if each is not None), None)
    return (body, "/".join(codings)) if plain is None else (plain, None)


def _codings(headers: Mapping[str, str]) -> list[str]:
    fields = ",".join(value for name, value in headers.items() if name.lower() == "content-encoding")
    names = (each.strip().lower() for each in fields.split(","))
    return [name for name in names if name not in {"", "identity"}]


def _unpacked(body: bytes, window: int, cap: int) -> bytes | None:
    unpacking = zlib.decompressobj(window)
    try:
        plain = unpacking.decompress(body, cap + 1)
    except zlib.error:
        return None
    is_whole = unpacking.eof and not unpacking.unused_data
    return plain if is_whole and len(plain) <= cap else None
