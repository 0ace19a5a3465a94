"""The last line of defence against secrets: what is to leave the process is copied, with credentials blanked.

The first line is code that hands no secret to a log or an error report; this one catches what slips through.
"""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from pathlib import PurePath
from typing import Final
from uuid import UUID

from tasks.events.plaintext import SECRET_NAMES
from worker.settings.urls import HIDDEN, USERINFO

REDACTED: Final = HIDDEN
CUT: Final = "…"  # stands for what is too deep, or holds itself
MAX_DEPTH: Final = 12
MAX_TEXT: Final = 8192  # characters of one text; it also bounds the time the patterns take
_MAX_INTEGER: Final = 2**63  # Python refuses to write very long integers in decimal

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

# Bearer and basic credentials (RFC 6750, RFC 7617), compact JWS and JWE (RFC 7515, RFC 7516), the userinfo of a URL.
_CREDENTIAL: Final = re.compile(
    r"(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}"
    r"|eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){2,4}"
    rf"|{USERINFO.pattern}"
)
# `client_secret=…` and `"token": "…"` inside a text; of these two headers the whole value, of any scheme and any number
# of cookies (RFC 9110 section 11.4, RFC 6265 section 4.2.1).
_ASSIGNED: Final = re.compile(
    r"""((?i:token|secret|password|passwd|passphrase|api[_-]?key)s?["']?\s{0,4}[=:]\s{0,4}["']?)[^\s"'&,;}]+"""
)
_HEADER: Final = re.compile(r"""((?i:authorization|cookie)s?["']?\s{0,4}[=:]\s{0,4}["']?)[^\r\n"'}]+""")
# Most values are a single word: without white space, a colon, a slash or a sign of equality nothing above fits it.
_HARMLESS: Final = re.compile(rf"[\w.@*+-]{{0,{MAX_TEXT}}}")
# Likewise most URIs, such as the source of an event: without an @, and without a word that stands before a secret.
_HARMLESS_URI: Final = re.compile(rf"[\w.*+:/-]{{0,{MAX_TEXT}}}")
_SECRETS_FOLLOW: Final = re.compile(r"(?i)token|secret|passw|passphrase|api[_-]?key|authorization|cookie")
_SIMPLE: Final = frozenset({str, bool, int, float, type(None), datetime})
_ENDINGS: Final = ("token", "tokens", "secret", "secrets", "password", "passwd", "passphrase", "apikey", "cookie")
_NAMES: Final = SECRET_NAMES | frozenset(
    {
        *("mackey", "fixediv", "sentrydsn"),
        *("proxyauthorization", "credential", "credentials", "dsn"),
        *("jwe", "jwk", "pem", "key", "privatekey", "peerkey", "signingkey", "subjectkey", "tokenreferenceid"),
        *("secretaccesskey", "clientstate"),
    }
)


def redacted(value: object) -> Plain:
    """A copy of *value* that JSON can hold and that shows no credential. Never raises.

    Members named like a secret are blanked at any depth. Of what is neither plain data nor a known simple type
    (bytes, an object of any class) nothing but the type is kept, because its text may show anything.
    """
    return _copy(value, ())


def text(value: str) -> str:
    """*value*, shortened, with everything blanked that looks like a credential."""
    if _is_harmless_text(value):
        return value
    assigned = _ASSIGNED.sub(rf"\1{REDACTED}", _CREDENTIAL.sub(REDACTED, value[:MAX_TEXT]))
    return _HEADER.sub(rf"\1{REDACTED}", assigned)


def _is_harmless_text(value: str) -> bool:
    if "eyJ" in value:
        return False
    return bool(_HARMLESS.fullmatch(value) or (_HARMLESS_URI.fullmatch(value) and not _SECRETS_FOLLOW.search(value)))


def is_harmless(members: Mapping[str, object]) -> bool:
    """Whether *members* are texts, numbers and times, of which `redacted` would blank nothing.

    One look at all the texts together finds what a look at each would find: none holds a character that it may not.
    """
    values = members.values()
    if not (_SIMPLE.issuperset(map(type, values)) and _are_harmless_names(tuple(members))):
        return False
    texts = "".join([value for value in values if isinstance(value, str)])
    numbers = [value for value in values if isinstance(value, int | float)]
    return _is_harmless_text(texts) and all(-_MAX_INTEGER < number < _MAX_INTEGER for number in numbers)


@lru_cache(maxsize=1024)
def _are_harmless_names(names: tuple[object, ...]) -> bool:
    return all(isinstance(name, str) and text(name) == name and not is_secret_name(name) for name in names)


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Whether a member of this name holds a credential, e.g. `client_secret`, `X-Api-Key` or `accessToken`."""
    plain = name.lower().replace("-", "").replace("_", "")
    return plain in _NAMES or plain.endswith(_ENDINGS)


def _copy(value: object, above: tuple[int, ...]) -> Plain:  # noqa: PLR0911 - one line for each kind of value
    match value:
        case None | bool():
            return value
        case str():
            return text(str(value))
        case int() if -_MAX_INTEGER < value < _MAX_INTEGER:
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else str(float(value))
        case datetime() | date():
            return value.isoformat()
        case UUID() | PurePath():
            return text(str(value))
        case dict() | list() | tuple() | set() | frozenset():
            return _copy_of_many(value, above)
        case _:
            return f"<{type(value).__name__}>"


def _copy_of_many(value: Mapping[object, object] | Iterable[object], above: tuple[int, ...]) -> Plain:
    if id(value) in above or len(above) >= MAX_DEPTH:
        return CUT
    below = (*above, id(value))
    if isinstance(value, dict):
        named = ((_name(name), each) for name, each in value.items())
        return {name: REDACTED if is_secret_name(name) else _copy(each, below) for name, each in named}
    return [_copy(each, below) for each in value]


def _name(name: object) -> str:
    return text(name) if isinstance(name, str) else str(_copy(name, ()))
