"""Tokens in clear: found before anything else looks at an event, so that nothing keeps one.

Every check takes time in proportion to the text: the patterns use possessive repeats and never look at a
character more than a few times.
"""

import re
from collections.abc import Iterable
from typing import Final

from tasks.events.rejection import Path

_SECRET_NAMES: Final = frozenset(
    {
        "token",
        "accesstoken",
        "refreshtoken",
        "idtoken",
        "bearer",
        "password",
        "secret",
        "clientsecret",
        "apikey",
        "authorization",
    }
)
_SEALED: Final = re.compile(r"[\w-]++\.[\w-]*+\.[\w-]++\.[\w-]++\.[\w-]++", re.ASCII)
# RFC 7515 section 7.1; every JOSE header is a JSON object, and `{"` is `eyJ` in base64url.
_COMPACT_JWS: Final = re.compile(r"(?<![\w-])eyJ[\w-]*+\.[\w-]++\.[\w-]*+", re.ASCII)
# RFC 6750 section 2.1.
_BEARER: Final = re.compile(r"\bbearer\s++[\w~+/.-]", re.IGNORECASE)
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z_-]*+")


def plaintext_path(node: object) -> Path | None:
    """Return the path to the first token in clear inside *node*, or None.

    A token in clear is a member named like one, or text that is or contains a compact JWS or `Bearer …`. A string
    that as a whole has the five segments of a compact JWE is sealed.
    """
    if isinstance(node, str):
        return () if is_plaintext(node) else None
    if isinstance(node, dict):
        return _first(node.items(), named=True)
    return _first(enumerate(node), named=False) if isinstance(node, list) else None


def is_plaintext(text: str) -> bool:
    """Tell whether *text* is, or contains, a token in clear."""
    if "eyJ" in text and not _SEALED.fullmatch(text) and _COMPACT_JWS.search(text):
        return True
    return "bearer" in text.lower() and _BEARER.search(text) is not None


def may_hold_plaintext(body: bytes) -> bool:
    """Tell whether a body that is not JSON may hold a token in clear; in doubt it may.

    Escapes hide text, so a body with any is in doubt. Zero bytes are skipped: they are what UTF-16 puts in between.
    """
    text = body.replace(b"\0", b"").decode(errors="replace")
    return "\\u" in text or "eyJ" in text or is_plaintext(text) or any(map(_is_secret_name, _WORD.findall(text)))


def _first(children: Iterable[tuple[str | int, object]], *, named: bool) -> Path | None:
    for key, child in children:
        if named and _gives_away(str(key)):
            return (key,)
        rest = plaintext_path(child)
        if rest is not None:
            return (key, *rest)
    return None


def _gives_away(name: str) -> bool:
    return _is_secret_name(name) or is_plaintext(name)


def _is_secret_name(name: str) -> bool:
    return name.replace("-", "").replace("_", "").casefold() in _SECRET_NAMES
