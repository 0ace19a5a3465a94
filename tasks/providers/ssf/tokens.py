"""Security Event Tokens as we sign them (RFC 8417; Shared Signals Framework, CAEP and RISC 1.0)."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from joserfc import jws
from joserfc.jws import JWSRegistry
from pydantic import SecretStr

from tasks.call import ProviderCall
from tasks.providers.signing_keys import ALGORITHMS
from tasks.providers.ssf.kind import SsfSettings, key_of

_TYPE: Final = "secevent+jwt"
_EVENTS: Final = {
    "session-revoked": "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
    "account-disabled": "https://schemas.openid.net/secevent/risc/event-type/account-disabled",
}
_REGISTRY: Final = JWSRegistry(algorithms=[*ALGORITHMS])


class SetSigner:
    """Signs with the one key of a receiver's settings."""

    def __init__(self, secret: SecretStr, key_id: str | None) -> None:
        """Read the key. Raises ValueError where it is none that signs."""
        self._key, self._algorithm = key_of(secret)
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
