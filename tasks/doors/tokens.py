"""Signed tokens (JWT) of an issuer: what is asked of them, in one table for every kind of door."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from joserfc import jws
from joserfc.errors import DecodeError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from tasks.strict_json import MalformedJsonError, decode

# By keys of which we hold the public half alone: never `none`, nor a secret that both know.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
LEEWAY: Final = 60  # seconds that two clocks may differ
MAX_TOKEN: Final = 32 * 1024  # characters
MAX_TIME: Final = 253_402_300_799  # the end of the year 9999, in seconds since 1970
_REGISTRY: Final = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say."""

    issuer: str
    audience: str
    types: frozenset[str]  # `typ` of its header, in lower case; "": it may have none
    any_type: bool = False
    needs_expiry: bool = True


@dataclass(frozen=True, slots=True)
class Claims:
    """Those of a token that is what it must be."""

    members: Mapping[str, Any] = field(repr=False)
    issued: datetime

    def text(self, name: str) -> str | None:
        """Return the claim *name* where it is a text that is not empty."""
        value = self.members.get(name)
        return value if isinstance(value, str) and value else None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a token is not believed, in one word of ours."""

    why: str  # form, key, signature, typ, iss, aud, exp, iat, nbf


def verified(token: str, keys: KeySet | None, expected: Expected, now: datetime) -> Claims | Fault:
    """Return the claims of *token* where one of *keys* signed it and it is as *expected* at *now*. Never raises."""
    if keys is None or not 0 < len(token) <= MAX_TOKEN:
        return Fault("key" if keys is None else "form")
    try:
        signed = jws.deserialize_compact(token, keys, algorithms=ALGORITHMS, registry=_REGISTRY)
        members = decode(signed.payload)
    except InvalidKeyIdError:
        return Fault("key")
    except DecodeError:
        return Fault("form")
    except (JoseError, MalformedJsonError, ValueError, TypeError, KeyError, RecursionError) as error:
        return Fault("signature" if isinstance(error, JoseError) else "form")
    if not isinstance(members, dict):
        return Fault("form")
    why = _fault_of_type(signed.headers(), expected) or _fault(members, expected, now.timestamp())
    return Fault(why) if why else Claims(members, datetime.fromtimestamp(number(members.get("iat")), UTC))


def _fault_of_type(header: Mapping[str, Any], expected: Expected) -> str | None:
    name = header.get("typ", "")
    kind = name.casefold().removeprefix("application/") if isinstance(name, str) else None
    return None if expected.any_type or kind in expected.types else "typ"


def _fault(claims: Mapping[str, Any], expected: Expected, now: float) -> str | None:
    audience = claims.get("aud")
    if claims.get("iss") != expected.issuer:
        return "iss"
    if expected.audience not in (audience if isinstance(audience, list) else [audience]):
        return "aud"
    if ("exp" in claims or expected.needs_expiry) and not number(claims.get("exp")) > now - LEEWAY:
        return "exp"
    if not 0 <= number(claims.get("iat")) < now + LEEWAY:
        return "iat"
    return None if "nbf" not in claims or number(claims["nbf"]) < now + LEEWAY else "nbf"


def number(value: object) -> float:
    """Return *value* where it is a number of seconds that a date has room for; else one that compares to none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and -MAX_TIME <= value <= MAX_TIME else math.nan  # type: ignore[arg-type, operator]
