"""An identity provider that commands by signed tokens."""

import json
import time
import uuid
from pathlib import Path
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import ECKey

ISSUER: Final = "https://idp.example.com"
AUDIENCE: Final = "https://revoker.example.com/idp"
TYPE: Final = "global-token-revocation+jwt"


class Idp:
    """Its key, and the file in *home* in which it shows the public half."""

    def __init__(self, home: Path) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig"})
        self.jwks = home / "idp.jwks.json"
        self.jwks.write_text(json.dumps({"keys": [self.key.as_dict(private=False)]}))

    def token(self, typ: str = TYPE, **claims: Any) -> str:
        """Return a token of now."""
        now = int(time.time())
        whole = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 300, "jti": str(uuid.uuid4()), **claims}
        whole = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": "k1", "typ": typ}, whole, self.key)
