"""The OpenID provider over HTTP: what it says of itself, its keys, its tokens. Each answer is bounded in size and time.

Nothing of an answer is shown or logged: what is wrong with it is told in our own words.
"""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import aiohttp
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import SecretStr
from yarl import URL

from tasks.outcome import Transient
from tasks.providers.http import Edge
from tasks.providers.provider import Request
from worker.console.sign_in.person import NotSignedIn
from worker.settings.console_sign_in import OidcSettings, is_fit_url

METADATA_AGE: Final = 3600.0  # seconds that what it says of itself, and its keys, are believed
KEYS_INTERVAL: Final = 30.0  # seconds between two looks for a key that is not known: a forged token must not cause any
_FORM: Final = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
_OK: Final = 200
_PUBLIC: Final = ("RSA", "EC", "OKP")


def fault(what: str) -> NotSignedIn:
    """Return the end of a sign-in that is the provider's, or the settings', fault."""
    return NotSignedIn(f"The OpenID provider {what}. Try again; if it stays so, tell whoever runs it.", what)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself (OpenID Connect Discovery 1.0, section 3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    is_named: bool  # its answers say whose they are (RFC 9207)
    takes_basic: bool  # of the ways in which we may show our secret

    @classmethod
    def of(cls, document: Mapping[str, Any], issuer: str) -> Self:
        """Read *document*. Raises NotSignedIn where it is another issuer's, or names no fit endpoints."""
        if document.get("issuer") != issuer:
            raise fault("calls itself by another name than console.oidc.issuer")
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        authorization, token, keys = (str(document.get(name)) for name in names)
        userinfo = document.get("userinfo_endpoint")
        if not all(map(is_fit_url, (authorization, token, keys))) or not (userinfo is None or is_fit_url(userinfo)):
            raise fault("names an endpoint that is missing, or not https://")
        methods = document.get("token_endpoint_auth_methods_supported")
        return cls(
            authorization,
            token,
            keys,
            userinfo,
            is_named=document.get("authorization_response_iss_parameter_supported") is True,
            takes_basic=not isinstance(methods, list) or "client_secret_basic" in methods,
        )


class IdentityProvider:
    """The provider of the settings; what it says of itself is kept for an hour. On one event loop."""

    def __init__(self, settings: OidcSettings, session: aiohttp.ClientSession) -> None:
        self._settings = settings
        self._edge = Edge(session, settings.timeout)
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def metadata(self) -> Metadata:
        """Return what it says of itself. Raises NotSignedIn."""
        if self._metadata is None or time.monotonic() - self._metadata[0] > METADATA_AGE:
            url = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
            found = Metadata.of(
                await self._ask(Request("GET", URL(url), {"Accept": "application/json"})), self._settings.issuer
            )
            self._metadata = time.monotonic(), found
        return self._metadata[1]

    async def keys(self, *, anew: bool = False) -> KeySet:
        """Return its public keys; *anew*: one is missed, though the last look was just now. Raises NotSignedIn."""
        age = time.monotonic() - self._keys[0] if self._keys else METADATA_AGE
        if self._keys is None or age >= (KEYS_INTERVAL if anew else METADATA_AGE):
            url = (await self.metadata()).jwks_uri
            document = await self._ask(Request("GET", URL(url, encoded=True), {"Accept": "application/json"}))
            self._keys = time.monotonic(), _key_set(document)
        return self._keys[1]

    async def tokens(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        """Return what it gives for a code: *form* is the request but for who we are. Raises NotSignedIn."""
        metadata, client = await self.metadata(), self._settings.client_id
        secret, headers, whole = self._settings.client_secret, dict(_FORM), dict(form)
        if secret and metadata.takes_basic:
            pair = f"{quote(client, safe='')}:{quote(secret.get_secret_value(), safe='')}"  # RFC 6749 section 2.3.1
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            whole |= {"client_id": client} | ({"client_secret": secret.get_secret_value()} if secret else {})
        url = URL(metadata.token_endpoint, encoded=True)
        return await self._ask(Request("POST", url, headers, urlencode(whole).encode()))

    async def userinfo(self, access_token: SecretStr) -> Mapping[str, Any]:
        """Return the claims that are in no ID token; none where it has no such endpoint. Raises NotSignedIn."""
        url = (await self.metadata()).userinfo_endpoint
        if url is None:
            return {}
        headers = {"Accept": "application/json", "Authorization": f"Bearer {access_token.get_secret_value()}"}
        return await self._ask(Request("GET", URL(url, encoded=True), headers))

    async def _ask(self, request: Request) -> Mapping[str, Any]:
        answer = await self._edge.send(request, self._edge.deadline(), "login")
        if isinstance(answer, Transient):
            raise fault(f"cannot be reached ({answer.reason})")
        if answer.status != _OK:
            raise fault(f"answered {answer.status} to {request.url.path}")
        members = answer.document()
        if not members:
            raise fault(f"answered no JSON to {request.url.path}")
        return members


def _key_set(document: Mapping[str, Any]) -> KeySet:
    keys = document.get("keys")
    try:
        fit = [each for each in keys if _is_public(each)] if isinstance(keys, list) else []
        return KeySet.import_key_set({"keys": fit})
    except (JoseError, ValueError, TypeError):
        raise fault("has no key that signs") from None


def _is_public(key: object) -> bool:
    """Whether *key* is of a kind that has a public half, and signs."""
    return isinstance(key, dict) and key.get("kty") in _PUBLIC and key.get("use", "sig") == "sig"
