"""What a text says besides what it shows: the texts that one may read out of it, through any number of codings.

A token in clear stays one in base64 or base64url, hexadecimal or base32, percent-encoded, escaped for JSON, XML or
e-mail, in UTF-16, compressed, broken into lines, or in several of these at once.
"""

import base64
import binascii
import bz2
import html
import lzma
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote

MOST: Final = 1_048_576
"""Characters that are read of one event, sixteen times its longest body: what needs more was packed to hide."""

_SHORTEST: Final = 10  # characters of a coded text
_SHORTEST_READ: Final = 12  # of a readable piece in what a coding held, as `token=abcdef`; chance seldom makes one
_RUN: Final = re.compile(rf"[A-Za-z0-9+/_-]{{{_SHORTEST},}}+", re.ASCII)
_READABLE: Final = re.compile(rb"[\t\n\r\x20-\x7e]{%d,}+" % _SHORTEST_READ)
_SIGNS: Final = bytes(
    ord("a") if chr(code).isascii() and (chr(code).isprintable() or chr(code) in "\t\n\r") else 0 for code in range(256)
)
_SIGN_OF_TEXT: Final = b"a" * _SHORTEST_READ
_HEXADECIMAL: Final = re.compile(rf"[0-9A-Fa-f]{{{2 * _SHORTEST},}}+", re.ASCII)
# Byte by byte, as dumps and literals of bytes are written: `45:79:4a`, `0x45, 0x79`.
_BYTE: Final = "(?:0x)?[0-9A-Fa-f]{2}"
# It begins with what separates the first two, which is found soonest.
_BYTES: Final = re.compile(
    rf"[:,; -](?<=[0-9A-Fa-f]{{2}}.) ?{_BYTE}(?:[:,; -]{{1,2}}{_BYTE}){{{_SHORTEST - 2},}}", re.ASCII
)
_BETWEEN_BYTES: Final = re.compile("0x|[^0-9A-Fa-f]", re.ASCII)
_BASE32: Final = re.compile(rf"[A-Z2-7]{{{_SHORTEST * 8 // 5},}}|[a-z2-7]{{{_SHORTEST * 8 // 5},}}", re.ASCII)
_ESCAPE: Final = re.compile(
    r"\\+(?:u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,5})\}|x([0-9A-Fa-f]{2})|(?=[01])([0-7]{3})|([^ux]))",
    re.ASCII | re.DOTALL,
)
_QUOTED: Final = re.compile(r"=(?:([0-9A-F]{2})|\r?\n)", re.ASCII)  # RFC 2045, section 6.7
_NO_REST: Final = frozenset({1, 3, 6})  # characters of base32 that stand for no whole byte more
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]+")
_UNSEEN: Final = frozenset({"Cf", "Mn"})
_SPACE: Final = re.compile(r"\s+")
_BLANKS: Final = {"n": "\n", "r": "\r", "t": "\t"}
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_BZIP2: Final = b"BZh"
_XZ_MEMORY: Final = 16 * 1_048_576  # bytes; its dictionary may be 4 GiB
_XZ: Final = b"\xfd7zXZ\0"
# Formats that cannot be read here: Zstandard (RFC 8878), LZ4, zip.
_SEALED_UP: Final = (b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"PK\x03\x04")
_GZIP: Final = b"\x1f\x8b\x08"  # RFC 1952
_ZLIB: Final = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")  # RFC 1950
_PACKED: Final = (_GZIP, *_ZLIB, _BZIP2, _XZ, *_SEALED_UP)


_SIMPLE: Final = re.compile(r"[A-Za-z0-9._:/@+~,|-]*+", re.ASCII)  # of one line, and nothing in it is escaped
_MISALIGNED: Final = 64  # characters of base64 from which on it is looked for behind a few others


def shows_all(text: str) -> bool:
    """Tell whether nothing but *text* itself can be read out of it; far quicker than to read it, in doubt False."""
    if not _SIMPLE.fullmatch(text) or _BYTES.search(text):
        return False
    return not any(raw.startswith(_PACKED) or _is_readable(raw) for run in _RUN.findall(text) for raw in _bytes_of(run))


class HiddenTooWellError(Exception):
    """A text is packed so often, or so tightly, that its content cannot be read here."""


class Sight:
    """Reads the texts of one event. *most*: characters until it gives up."""

    def __init__(self, most: int = MOST) -> None:
        self._left = most

    def texts(self, text: str) -> Iterator[str]:
        """Yield *text* and all that may be read out of it. Raises HiddenTooWellError."""
        waiting, known = [text], {text}
        while waiting:
            seen = waiting.pop()
            self._spend(len(seen))
            yield seen
            for found in {*_rewritten(seen), *self._decoded(seen)} - known:
                known.add(found)
                waiting.append(found)

    def _spend(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            raise HiddenTooWellError

    def _decoded(self, text: str) -> Iterator[str]:
        for run in _RUN.findall(text):
            for raw in _bytes_of(run):
                yield from _readable(raw)
                if raw.startswith(_PACKED):
                    yield from _readable(self._unpacked(raw))

    def _unpacked(self, raw: bytes) -> bytes:
        """Return the content of *raw* where it is compressed; else nothing."""
        if raw.startswith(_SEALED_UP):
            raise HiddenTooWellError
        try:
            unpacked = _decompressor(raw)(raw, self._left + 1)
        except lzma.LZMAError:
            raise HiddenTooWellError from None
        except (zlib.error, OSError, EOFError, ValueError):
            return b""
        self._spend(len(unpacked))
        return unpacked


def _decompressor(raw: bytes) -> Callable[[bytes, int], bytes]:
    if raw.startswith(_BZIP2):
        return bz2.BZ2Decompressor().decompress
    if raw.startswith(_XZ):
        return lzma.LZMADecompressor(memlimit=_XZ_MEMORY).decompress
    return zlib.decompressobj(zlib.MAX_WBITS + 32).decompress  # either header


def _rewritten(text: str) -> Iterator[str]:
    """*text* in the ways that leave it a text."""
    if not text.isascii():
        plain = unicodedata.normalize("NFKC", text)
        yield "".join(letter for letter in plain if unicodedata.category(letter) not in _UNSEEN).replace("\u3002", ".")
    for found in _BYTES.finditer(text):
        yield _BETWEEN_BYTES.sub("", text[found.start() - 2 : found.end()])
    if _CONTROL.search(text):
        yield _CONTROL.sub("", text)
    if _SPACE.search(text):
        yield _SPACE.sub("", text)
    if "%" in text and _PERCENT.search(text):
        yield unquote(text)
    if "&" in text:
        yield html.unescape(text)
    if "\\" in text:
        yield _ESCAPE.sub(_unescaped, text)
    if "=" in text and _QUOTED.search(text):
        yield _QUOTED.sub(lambda match: chr(int(match[1], 16)) if match[1] else "", text)


def _unescaped(match: re.Match[str]) -> str:
    if code := match[1] or match[2] or match[3]:
        return chr(int(code, 16))
    return chr(int(match[4], 8)) if match[4] else _BLANKS.get(match[5], match[5])


def _bytes_of(run: str) -> Iterator[bytes]:
    """The bytes for which *run* may stand; in base64 it may begin with up to three characters of something else."""
    for digits in _HEXADECIMAL.findall(run):
        for start in range(1 + len(digits) % 2):
            yield bytes.fromhex(digits[start : start + len(digits) // 2 * 2])
    if _BASE32.fullmatch(run):
        whole = run[:-1] if len(run) % 8 in _NO_REST else run
        yield base64.b32decode(whole + "=" * (-len(whole) % 8), casefold=True)
    coded = run.encode().translate(_URL_SAFE)
    for start in range(4 if len(run) >= _MISALIGNED else 1):
        yield _from_base64(coded[start:])


def _from_base64(coded: bytes) -> bytes:
    surplus = len(coded) % 4
    if surplus == 1:
        return binascii.a2b_base64(coded[:-1])
    return binascii.a2b_base64(coded + b"==") if surplus else binascii.a2b_base64(coded)


def _is_readable(raw: bytes) -> bool:
    # Far sooner done than a search for a pattern.
    return _SIGN_OF_TEXT in raw.translate(_SIGNS, b"\0") or _utf8(raw) is not None


def _readable(raw: bytes) -> Iterator[str]:
    """The pieces of *raw* that are text; between its characters, UTF-16 and UTF-32 have zero bytes."""
    if (whole := _utf8(raw)) is not None:
        yield whole
    if _SIGN_OF_TEXT in raw.translate(_SIGNS, b"\0"):
        for piece in _READABLE.findall(raw.replace(b"\0", b"")):
            yield piece.decode("ascii")


def _utf8(raw: bytes) -> str | None:
    """*raw* as text beyond ASCII, if it is some."""
    try:
        return None if raw.isascii() or len(raw) < _SHORTEST_READ else raw.decode()
    except UnicodeDecodeError:
        return None
