"""Security Event Tokens as we sign them (RFC 8417; Shared Signals Framework, CAEP and RISC 1.0)."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from pydantic import SecretStr

from tasks.call import ProviderCall
from tasks.providers.ssf.kind import SsfSettings

MIN_RSA: Final = 2048  # bits, RFC 7518 section 3.3
_TYPE: Final = "secevent+jwt"
_EVENTS: Final = {
    "session-revoked": "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
    "account-disabled": "https://schemas.openid.net/secevent/risc/event-type/account-disabled",
}
_BY_CURVE: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "Ed25519"}
_REGISTRY: Final = JWSRegistry(algorithms=["RS256", *_BY_CURVE.values()])
_UNFIT: Final = "signing_key must be an RSA key of 2048 bits or more, an EC key or an Ed25519 key, in PEM or as a JWK"


class SetSigner:
    """Signs with the one key of a receiver's settings."""

    def __init__(self, secret: SecretStr, key_id: str | None) -> None:
        """Read the key. Raises ValueError where it is none that signs."""
        self._key = _key_of(secret.get_secret_value())
        self._algorithm = "RS256" if isinstance(self._key, RSAKey) else _BY_CURVE.get(str(self._key.curve_name), "")
        if not self._algorithm:
            raise ValueError(_UNFIT)
        self.key_id = key_id or self._key.kid or self._key.thumbprint()

    @property
    def public(self) -> Mapping[str, Any]:
        """The public half as a JWK, for receivers."""
        public = self._key.as_dict(private=False)
        return {**public, "kid": self.key_id, "use": "sig", "alg": self._algorithm}

    def signed(self, claims: Mapping[str, Any]) -> str:
        """Return the token that says *claims*."""
        header = {"alg": self._algorithm, "kid": self.key_id, "typ": _TYPE}
        payload = json.dumps(claims, separators=(",", ":")).encode()
        return jws.serialize_compact(header, payload, self._key, registry=_REGISTRY)


def claims_of(settings: SsfSettings, call: ProviderCall, now: datetime) -> Mapping[str, Any]:
    """Return what a receiver is told of the user of *call*. A repetition has the same `jti`; a replay has its own."""
    subject = _subject(settings, str(call.user_id))
    event: dict[str, Any] = {
        "event_timestamp": int(call.occurred_at.timestamp()),
        "reason_admin": {"en": call.event_type},
    }
    if settings.layout != "final":
        event["subject"] = subject
    return {
        "iss": settings.issuer,
        "jti": f"{call.call_id}.{call.replays}" if call.replays else call.call_id,
        "iat": int(now.timestamp()),
        "aud": settings.audience,
        "txn": call.event_id,
        **({"sub_id": subject} if settings.layout != "draft" else {}),
        "events": {_EVENTS[settings.event]: event},
    }


def _subject(settings: SsfSettings, name: str) -> dict[str, str]:
    match settings.subject:
        case "email":
            return {"format": "email", "email": name}
        case "opaque":
            return {"format": "opaque", "id": name}
        case _:
            return {"format": "iss_sub", "iss": str(settings.subject_issuer), "sub": name}


def _key_of(secret: str) -> RSAKey | ECKey | OKPKey:
    key: object = None
    with suppress(ValueError, TypeError, KeyError, JoseError):
        key = JWKRegistry.import_key(json.loads(secret))
    for kind in () if key else (RSAKey, ECKey, OKPKey):
        with suppress(ValueError, TypeError, JoseError):
            key = key or kind.import_key(secret)
    if not isinstance(key, RSAKey | ECKey | OKPKey) or not key.is_private:
        raise ValueError(_UNFIT)
    if isinstance(key, RSAKey) and key.public_key.key_size < MIN_RSA:
        raise ValueError(_UNFIT)
    return key
