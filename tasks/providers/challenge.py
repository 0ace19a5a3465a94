"""What the WWW-Authenticate of a 401 says of the bearer token (RFC 9110 section 11.6.1, RFC 6750 section 3)."""

import re
from collections.abc import Mapping
from typing import Final

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
# What is said of a token that has lived. Who refuses one for any other reason has not said that it is dead.
_OF_DEATH: Final = re.compile(
    r"(?<![a-z])(expir\w+|revo(ked|cation)|invalidated|no longer|inactive|not active|isn't active|deactivated"
    r"|(logged|signed) out|ended|terminated|deleted|destroyed)(?![a-z])",
    re.IGNORECASE,
)


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
