"""Security Event Tokens as a transmitter pushes them, and what a door says to them."""

import json
from pathlib import Path
from typing import Any, Final

from door_arrivals import AUDIENCE, ISSUER, arrival, token
from joserfc.jwk import ECKey

from tasks.doors import Verdict
from tasks.doors.security_event_tokens import KIND, TYPE, SecurityEventTokens, Settings

SETTINGS: Final = {"kind": KIND.name, "issuer": ISSUER, "audience": AUDIENCE, "jwks_file": Path("/keys")}
SOURCE: Final = "https://idp.example.com"
CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
RISC: Final = "https://schemas.openid.net/secevent/risc/event-type/"
SSF: Final = "https://schemas.openid.net/secevent/ssf/event-type/"
SCIM: Final = "urn:ietf:params:scim:event:"
REVOKED: Final = f"{CAEP}session-revoked"
DISABLED: Final = f"{RISC}account-disabled"
ADA: Final = {"format": "iss_sub", "iss": ISSUER, "sub": "00u1"}
GRACE: Final = {**ADA, "sub": "00u2"}
SESSION: Final = {"format": "opaque", "id": "s1"}
TENANT: Final = {"format": "opaque", "id": "acme"}
LENIENCIES: Final = {"draft_subjects": True, "millisecond_times": True, "untyped_tokens": True}
STRANGER: Final = ECKey.generate_key("P-256", {"kid": "k2"})
FORGER: Final = ECKey.generate_key("P-256", {"kid": "k1"})


def pushed(body: str | bytes, *, method: str = "POST", **settings: Any) -> Verdict:
    """What a push of *body* comes to."""
    door = SecurityEventTokens(Settings.model_validate(SETTINGS | settings))
    return door.judge(arrival(body.encode() if isinstance(body, str) else body, method=method))


def signed(events: object, typ: str | None = TYPE, key: ECKey | None = None, **claims: Any) -> str:
    """Return a token that tells *events* of Ada, but for what *claims* say."""
    whole = {"exp": None, "sub_id": ADA, "events": events, **claims}
    return token(whole, typ=typ, key=key) if key else token(whole, typ=typ)


def judged(
    uri: str = DISABLED, payload: object = None, claims: dict[str, Any] | None = None, **settings: Any
) -> Verdict:
    """What one event comes to."""
    return pushed(signed({uri: {} if payload is None else payload}, **(claims or {})), **settings)


def error_of(verdict: Verdict) -> str:
    """The code that the transmitter hears."""
    assert (verdict.answer.status, verdict.events) == (400, ())
    document = json.loads(verdict.answer.body)
    assert document.keys() == {"err", "description"}
    return str(document["err"])
