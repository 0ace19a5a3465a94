"""Requests as they arrive at a door, and an issuer that signs tokens."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from tasks.doors import Arrival

NOW: Final = datetime(2026, 11, 2, 12, 0, 0, tzinfo=UTC)
AT: Final = int(NOW.timestamp())
ISSUER: Final = "https://idp.example.com"
AUDIENCE: Final = "https://revoker.example.com/idp"
KEY: Final = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig"})
KEYS: Final = KeySet.import_key_set({"keys": [KEY.as_dict(private=False)]})


class Headers(dict[str, str]):
    """Headers that are found in any case, as aiohttp's are."""

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of *name*."""
        return {key.lower(): value for key, value in self.items()}.get(name.lower(), default)


def arrival(  # noqa: PLR0913 - what a request is made of
    body: bytes = b"",
    *,
    method: str = "POST",
    path: str = "",
    query: str = "",
    headers: Mapping[str, str] | None = None,
    keys: KeySet | None = KEYS,
) -> Arrival:
    """Return a request that came at NOW."""
    return Arrival(method, path, query, Headers(headers or {}), body, NOW, keys)


def token(claims: Mapping[str, Any] | None = None, *, typ: str | None, key: ECKey = KEY, **more: Any) -> str:
    """Return a token of ISSUER for AUDIENCE, of a minute ago; *claims* come over those, None leaves one out."""
    whole = {"iss": ISSUER, "aud": AUDIENCE, "iat": AT - 60, "exp": AT + 240, "jti": "j1", **(claims or {})}
    header = {"alg": "ES256", "kid": str(key.kid), **({"typ": typ} if typ else {}), **more}
    return jwt.encode(header, {name: value for name, value in whole.items() if value is not None}, key)
