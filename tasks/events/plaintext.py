"""Tokens in clear: found before anything else looks at an event, so that nothing keeps one.

They are known by the name of what holds them, and by their form. Every check takes time in proportion to the text:
the patterns use possessive repeats and never look at a character more than a few times.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from tasks.events.codings import HiddenTooWellError, Sight, shows_all
from tasks.events.rejection import Path

SECRET_NAMES: Final = frozenset(
    {
        *("token", "accesstoken", "refreshtoken", "idtoken", "bearer", "authorization"),
        *("password", "secret", "clientsecret", "apikey"),
    }
)
_BETWEEN_WORDS: Final = dict.fromkeys(map(ord, "-_ ."))
_NAME: Final = "(?:(?:access|refresh|id)[-_]?)?token|bearer|password|(?:client[-_]?)?secret|api[-_]?key|authorization"
_WORDS: Final = ("token", "bearer", "password", "secret", "key", "authorization")  # of which one is in each name
# As a member of JSON or the like, a field of a form, an element of XML, a line of a header.
_NAMED: Final = re.compile(
    rf"(?<![\w-])(?:{_NAME})(?:\\*[\"'][ \t]*+[:=]|[ \t]*+=[ \t]*+[^\s&;,=])"
    rf"|<(?:{_NAME})(?![\w-])[^<>]{{0,99}}+>[ \t]*+[^\s<]"
    rf"|(?:^|[\"'=,;{{(])[ \t]*+(?:{_NAME})[ \t]*+:[ \t]++(?:(?:basic|token)[ \t]++)?"
    r"[^\s\"',;&)}]{8,}+[ \t\r]*+(?:$|[\"',;&)}])",
    re.IGNORECASE | re.MULTILINE | re.ASCII,
)
# RFC 6750 section 2.1.
_BEARER: Final = re.compile(r"\bbearer\s++[\w~+/.-]", re.IGNORECASE)
_DOTTED: Final = re.compile(r"[\w-]++(?:\.[\w-]*+){2,}+", re.ASCII)
# RFC 7515 section 7.1; a JOSE header is a JSON object, and `{"` is `eyJ` in base64url; white space may stand before.
_HEADER: Final = re.compile(r"e[w-z0-9_-]|[ICD7]", re.ASCII)
_ALONE: Final = re.compile(r"(?<![\w-])e[w-z0-9_-][\w-]{10,}+(?!\.\.)", re.ASCII)
# RFC 7515 section 7.2: the same in JSON, whose header may stand there as an object.
_SIGNED: Final = ({"payload", "signature"}, {"payload", "signatures"})
_SEGMENTS_SEALED: Final = 5  # of a compact JWE, RFC 7516 section 7.1
_LONGEST_TAG: Final = 16  # bytes, of A256GCM (RFC 7518 section 5.3); its IV has 12
_PLAIN_NAME: Final = re.compile("[A-Za-z_]{1,32}", re.ASCII)  # too short, and too plain, for a token
# Parts of names that producers give to secrets; such a member makes no event a wrong one, and no refused one kept.
_SUSPICIOUS: Final = re.compile("token|secret|passw|passphrase|jwt|cookie|bearer|api_?-?key|credentials|saml")
_CREDENTIALS: Final = frozenset({"jwe", "ref", "token_reference_id"})
_JWE: Final = re.compile(r"[\w-]++\.[\w-]*+\.[\w-]++\.[\w-]++\.[\w-]++", re.ASCII)


def plaintext_path(node: object, sight: Sight | None = None) -> Path | None:
    """Return the path to the first token in clear inside *node*, or None.

    A token in clear is a member named like one, or text that is or contains a compact JWS, `Bearer …`, or such a name
    with its value, in whatever coding; so is text that is hidden too well to be read, and a JWS in JSON or in pieces,
    known by its header. A compact JWE is sealed, whole or broken.
    """
    sight = sight or Sight()
    if isinstance(node, str):
        return () if is_plaintext(node, sight) else None
    if isinstance(node, dict):
        return ("payload",) if _is_jws(node) else _first(node.items(), sight, named=True)
    return _first(enumerate(node), sight, named=False) if isinstance(node, list) else None


def is_plaintext(text: str, sight: Sight | None = None) -> bool:
    """Tell whether *text* is, or contains, a token in clear, as `plaintext_path` has it."""
    if _is_sealed(text) or (shows_all(text) and not _shows_token(text)):
        return False
    try:
        return any(map(_shows_token, (sight or Sight()).texts(text)))
    except HiddenTooWellError:
        return True


def may_hold_token(node: object) -> bool:
    """Tell whether a member inside *node* may hold a token that looks like any word: by its name, or by its place."""
    if isinstance(node, list):
        return any(map(may_hold_token, node))
    if not isinstance(node, dict):
        return False
    return any(_is_suspicious(name.casefold(), value) or may_hold_token(value) for name, value in node.items())


def _is_suspicious(name: str, value: object) -> bool:
    if name == "credential" and value:
        return not (isinstance(value, Mapping) and value.keys() <= _CREDENTIALS)
    if name == "jwe":
        return not (isinstance(value, str) and _JWE.fullmatch(value))
    return name not in _CREDENTIALS and bool(_SUSPICIOUS.search(name))


def _first(children: Iterable[tuple[str | int, object]], sight: Sight, *, named: bool) -> Path | None:
    for key, child in children:
        if named and _gives_away(str(key), sight):
            return (key,)
        rest = plaintext_path(child, sight)
        if rest is not None:
            return (key, *rest)
    return None


def _gives_away(name: str, sight: Sight) -> bool:
    is_of_secret = name.translate(_BETWEEN_WORDS).casefold() in SECRET_NAMES
    return is_of_secret or (not _PLAIN_NAME.fullmatch(name) and is_plaintext(name, sight))


def _is_sealed(text: str) -> bool:
    """Whether *text* is a compact JWE, with nothing to read in it but a harmless header.

    What is sealed is bytes of chance, in which a dozen signs of a text or the first bytes of an archive stand now and
    then: a segment says something only where all of it is text.
    """
    if not (text.startswith("eyJ") and _JWE.fullmatch(text)):
        return False
    header, *segments = text.split(".")
    opened = _object(header)
    return (
        opened is not None and "enc" in opened and not any(map(_is_text, segments)) and plaintext_path(opened) is None
    )


def _is_text(segment: str) -> bool:
    """Whether *segment* is longer than an IV or a tag, and stands for signs of ASCII alone, as every token does."""
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except (binascii.Error, ValueError):
        return True  # no base64: nothing is sealed there
    return len(raw) > _LONGEST_TAG and all(32 <= byte < 127 or byte in b"\t\n\r" for byte in raw)  # noqa: PLR2004 - ASCII


def _shows_token(text: str) -> bool:
    if _speaks_of_secrets(text.lower()) and (_BEARER.search(text) or _NAMED.search(text)):
        return True
    if "." in text and any(map(_holds_jws, _DOTTED.findall(text))):
        return True
    return any(map(_is_jws_header, _ALONE.findall(text)))


def _speaks_of_secrets(lower: str) -> bool:
    for word in _WORDS:  # noqa: SIM110 - half the time of any(), and it is asked of every text
        if word in lower:
            return True
    return False


def _holds_jws(dotted: str) -> bool:
    """Whether a compact JWS is among the segments: a header that is no JWE's, a payload, and what signs it."""
    segments = dotted.split(".")
    places = range(len(segments) - 2)
    is_sealed = len(segments) == _SEGMENTS_SEALED
    return any(_begins_jws(segments[at : at + _SEGMENTS_SEALED], is_sealed=is_sealed and not at) for at in places)


def _begins_jws(segments: list[str], *, is_sealed: bool) -> bool:
    if not segments[1]:
        return False  # a detached signature has no payload
    headers = [header for header in map(_object, _headers(segments[0])) if header is not None]
    if any("enc" in header for header in headers):
        return any(_HEADER.match(each) and _object(each) is not None for each in segments[1:])
    return bool(headers) or ("eyJ" in segments[0] and not is_sealed)


def _is_jws(node: Mapping[str, object]) -> bool:
    return any(map(node.keys().__ge__, _SIGNED)) and isinstance(node["payload"], str)


def _is_jws_header(segment: str) -> bool:
    header = _object(segment)
    return header is not None and "alg" in header and "enc" not in header


def _headers(segment: str) -> Iterator[str]:
    """Where in *segment* a header may begin: with it, or behind something that was written in front of it."""
    if _HEADER.match(segment):
        yield segment
    if (behind := segment.rfind("eyJ")) > 0:
        yield segment[behind:]


def _object(segment: str) -> Mapping[str, object] | None:
    try:
        value = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
