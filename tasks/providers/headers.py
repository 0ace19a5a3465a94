"""What the headers of an answer say: how its body is coded, how long to wait, what is wrong with the token."""

import math
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

_GZIP: Final = 16 + zlib.MAX_WBITS
_WINDOWS: Final[Mapping[str, tuple[int, ...]]] = {
    "gzip": (_GZIP,),
    "x-gzip": (_GZIP,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),  # as RFC 9110 section 8.4.1.2 has it, and as some servers send it
}
_SECONDS: Final = re.compile(r"\d{1,10}(\.\d{1,9})?", re.ASCII)
_JOINED: Final = re.compile(r",[ \t]+")  # RFC 9110 section 5.3; without white space it may be a decimal comma
_TOO_MANY_REQUESTS: Final = 429
_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER: Final = rf'({_NAME})[ \t]*=[ \t]*({_NAME}|"(?:[^"\\]|\\.)*")'
_BEARER: Final = re.compile(rf"bearer(?: +{_PARAMETER}(?:[ \t]*,[ \t]*{_PARAMETER})*)?[ \t]*", re.IGNORECASE)
_PARAMETERS: Final = re.compile(_PARAMETER)
_INVALID_TOKEN: Final = "invalid_token"  # noqa: S105 - the name of an error

# A token that lives, asked about in a place where it is not known, or mangled on its way there, is refused in these
# words. "Malformed" is passed over in the sentence of RFC 6750 itself, which names every cause at once.
_OF_ANOTHER_PLACE: Final = re.compile(
    r"(?<![a-z])(aud|audiences?|iss|issuers?|issued by|signatures?|signing|keys?|kid|algorithms?|tenants?|domains?"
    r"|organi[sz]ations?|regions?|environments?|realms?|clients?|azp|resources?|apis?|services?|intended|scopes?"
    r"|nbf|not before|not valid before|not yet valid|certificates?|thumbprints?|pars\w+|decod\w+|formats?|unsupported"
    r"|not supported|types?|no token|missing|no expir\w+|without|(?<!expired, revoked, )malformed"
    r"|unavailable|time(d )?-?out|too many|rate|limits?|quotas?|maintenance|prox(y|ies)|gateways?)(?![a-z])",
    re.IGNORECASE,
)
# Words for a token that has died. A refusal for any other reason does not say that it is dead.
_OF_DEATH: Final = re.compile(
    r"(?<![a-z])(expir\w+|revo(ked|cation)|invalidated|no longer|inactive|not active|isn't active|deactivated"
    r"|(logged|signed) out|ended|terminated|deleted|destroyed)(?![a-z])",
    re.IGNORECASE,
)


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


def wait_asked(status: int, headers: Mapping[str, str], clock: Callable[[], float] = time.time) -> float | None:
    """Return the seconds the provider asks us to wait, or None.

    Retry-After as seconds, decimals included, or as a date (RFC 9110 section 10.2.3), reckoned from the answer's own
    Date so that a wrong clock of ours never makes us early; a past date is 0. For a 429 also Genesys Cloud's
    `inin-ratelimit-reset`, seconds. Of several values the longest counts; garbage and negatives count as absent.
    """
    sent = next(_values(headers, "Date"), "")
    asked = [_wait(each, sent, clock) for value in _values(headers, "Retry-After") for each in _apart(value)]
    if status == _TOO_MANY_REQUESTS:
        asked += map(_seconds, _values(headers, "inin-ratelimit-reset"))
    return max((seconds for seconds in asked if seconds is not None), default=None)


def _values(headers: Mapping[str, str], name: str) -> Iterator[str]:
    """Every value of the header *name*: a server may send it more than once."""
    return (value for each, value in headers.items() if each.lower() == name.lower())


def _apart(value: str) -> list[str]:
    """Return the values of a header that a gateway joined; the comma of a date parts none."""
    parts = _JOINED.split(value)
    return parts if all(_seconds(part) is not None for part in parts) else [value]


def _wait(asked: str, sent: str, clock: Callable[[], float]) -> float | None:
    seconds = _seconds(asked)
    if seconds is not None:
        return seconds
    until = _timestamp(asked)
    if until is None:
        return None
    now = _timestamp(sent)
    return max(0.0, until - (clock() if now is None else now))


def _seconds(text: str) -> float | None:
    bare = text.strip(" \t")  # the white space of RFC 9110 section 5.6.3: Python strips more than float() takes
    return float(bare) if _SECONDS.fullmatch(bare) else None


def _timestamp(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        stamp = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return stamp if math.isfinite(stamp) else None


def speaks_of_another_place(text: str) -> bool:
    """Whether *text*, why a token was refused, speaks of where it belongs or of its form, not of its life."""
    return _OF_ANOTHER_PLACE.search(text) is not None


def bearer_challenge(headers: Mapping[str, str]) -> Mapping[str, str] | None:
    """Return the parameters of the one Bearer challenge in *headers*, by name in lower case.

    Empty where there is no WWW-Authenticate at all; None where it offers another scheme, more than one challenge, a
    parameter twice, or cannot be read.
    """
    fields = [value for name, value in headers.items() if name.lower() == "www-authenticate"]
    if not fields:
        return {}
    if len(fields) > 1 or not _BEARER.fullmatch(fields[0].strip()):
        return None
    found = [(name.lower(), _plain(value)) for name, value in _PARAMETERS.findall(fields[0])]
    parameters = dict(found)
    return parameters if len(parameters) == len(found) else None


def names_dead_token(headers: Mapping[str, str]) -> bool:
    """Whether the challenge says that the token we presented is dead.

    That is `invalid_token`, and, where it is described, that it has expired or was revoked, and no word of another
    place. Without an error no token has arrived (RFC 6750 section 3.1).
    """
    challenge = bearer_challenge(headers) or {}
    described = challenge.get("error_description", "").strip()
    is_of_death = not described or _OF_DEATH.search(described) is not None
    return challenge.get("error") == _INVALID_TOKEN and is_of_death and not contradicts_dead_token(headers)


def contradicts_dead_token(headers: Mapping[str, str]) -> bool:
    """Whether the challenge, if there is one, says that something else is wrong than the life of the token."""
    challenge = bearer_challenge(headers)
    if challenge is None:
        return True
    of_place = speaks_of_another_place(challenge.get("error_description", ""))
    return of_place or challenge.get("error", _INVALID_TOKEN) != _INVALID_TOKEN


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
