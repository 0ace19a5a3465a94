"""JWTs that the worker signs: who it is towards a login, a call, or both (RFC 7523)."""

import secrets
import time
from collections.abc import Mapping
from typing import Final

from joserfc import jwt
from pydantic import SecretStr

from tasks.providers.declared.auth import JwtBearer, PrivateKeyJwt, SignedJwt, Signing, key_of

ASSERTION_LIFE: Final = 300  # seconds
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Signer:
    """Signs JWTs with one key, each with an id and a short life of its own."""

    def __init__(self, auth: Signing) -> None:
        (self._key, self._algorithm), self._key_id = key_of(auth.private_key), auth.key_id

    def assertion(self, auth: PrivateKeyJwt) -> SecretStr:
        """Return what the OAuth client of *auth* shows of itself (RFC 7523 section 3)."""
        return self._signed({"iss": auth.client_id, "sub": auth.client_id, "aud": auth.audience or auth.token_url})

    def grant(self, auth: JwtBearer) -> SecretStr:
        """Return the JWT with which a token is bought."""
        return self._signed(_claims(auth, auth.audience or auth.token_url))

    def bearer(self, auth: SignedJwt) -> SecretStr:
        """Return the JWT that a call bears."""
        return self._signed(_claims(auth, auth.audience), auth.type)

    def _signed(self, claims: Mapping[str, str | None], type_: str = "JWT") -> SecretStr:
        now = int(time.time())
        header = {"alg": self._algorithm, "typ": type_, **({"kid": self._key_id} if self._key_id else {})}
        times = {"iat": now, "exp": now + ASSERTION_LIFE, "jti": secrets.token_urlsafe(16)}
        return SecretStr(jwt.encode(header, {**claims, **times}, self._key, [self._algorithm]))


def _claims(auth: JwtBearer | SignedJwt, audience: str) -> Mapping[str, str | None]:
    subject = {"sub": auth.subject} if auth.subject else {}
    return {**auth.claims, "iss": auth.issuer, "aud": audience, **subject}
