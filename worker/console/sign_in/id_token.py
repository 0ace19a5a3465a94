"""What an OpenID provider signed: who signed in (OpenID Connect Core 1.0, section 3.1.3.7), or who signed out there."""

import math
import time
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from worker.console.sign_in.idp import IdentityProvider
from worker.console.sign_in.person import NotSignedIn

# Signatures by keys of which we hold the public half alone: never `none`, nor one by a secret that both know.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
LEEWAY: Final = 60  # seconds that two clocks may differ
LONGEST_SUBJECT: Final = 255  # characters (OpenID Connect Core 1.0, section 2)
LOGOUT: Final = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_AGE: Final = 300  # seconds in which a logout token is of use
_REGISTRY: Final = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
_REFUSED: Final = "The sign-in could not be proved. Begin again."


def refused(why: str) -> NotSignedIn:
    """Return the end of a sign-in that is not proved; *why* is for the log."""
    return NotSignedIn(_REFUSED, why)


async def signed_claims(provider: IdentityProvider, token: object, issuer: str, client: str) -> Mapping[str, Any]:
    """Return the claims of *token*, which *issuer* signed for *client* and which stands now. Raises NotSignedIn."""
    if not isinstance(token, str):
        raise refused("no token")
    try:
        claims = _verified(token, await provider.keys())
    except InvalidKeyIdError:
        claims = _again(token, await provider.keys(anew=True))
    _require_meant(claims, issuer, client)
    return claims


def _again(token: str, keys: KeySet) -> Mapping[str, Any]:
    try:
        return _verified(token, keys)
    except InvalidKeyIdError:
        raise refused("unknown key") from None


def _verified(token: str, keys: KeySet) -> Mapping[str, Any]:
    """Return the claims of *token* where one of *keys* signed it. Raises InvalidKeyIdError for another key."""
    try:
        return jwt.decode(token, keys, algorithms=ALGORITHMS, registry=_REGISTRY).claims
    except InvalidKeyIdError:
        raise
    except (JoseError, ValueError, TypeError, RecursionError) as error:  # what strangers may send
        raise refused(f"signature: {type(error).__name__}") from None


def _require_meant(claims: Mapping[str, Any], issuer: str, client: str) -> None:
    audience = claims.get("aud")
    several = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != issuer:
        raise refused("iss")
    if client not in several or claims.get("azp", client) != client or (len(several) > 1 and "azp" not in claims):
        raise refused("aud")
    now = time.time()
    if not _number(claims.get("exp")) > now - LEEWAY:
        raise refused("exp")
    if not (_number(claims.get("iat")) < now + LEEWAY and _number(claims.get("nbf", 0)) < now + LEEWAY):
        raise refused("iat")


def require_subject(claims: Mapping[str, Any]) -> str:
    """Return the `sub` of *claims*. Raises NotSignedIn where it is none."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        raise refused("sub")
    return subject


def logged_out(claims: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return `sub` and `sid` of a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.6).

    Raises NotSignedIn for any other token, an ID token for one.
    """
    events, subject, session = claims.get("events"), claims.get("sub"), claims.get("sid")
    is_logout = isinstance(events, dict) and isinstance(events.get(LOGOUT), dict) and "nonce" not in claims
    is_new = isinstance(claims.get("jti"), str) and time.time() - _number(claims.get("iat")) < LOGOUT_AGE
    names = [each for each in (subject, session) if each is not None]
    if not (is_logout and is_new and names and all(isinstance(each, str) and each for each in names)):
        raise refused("no logout token")
    return subject, session


def _number(value: object) -> float:
    """Return *value* where it is a number; else one that compares to none as it must."""
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan
