"""What a request of a declared provider bears: our credential by its scheme, bought anew where it must be."""

import base64
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import quote_plus, urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from pydantic import SecretStr
from yarl import URL

from tasks.outcome import CredentialFault, Transient
from tasks.providers.answers import Answer
from tasks.providers.declared.auth import Auth, BasicAuth, ClientCredentials, HeaderAuth, NoAuth, PrivateKeyJwt
from tasks.providers.http import Edge
from tasks.providers.oauth import Login
from tasks.providers.provider import MASK, Request

ASSERTION_LIFE: Final = 300  # seconds
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Borne:
    """Headers that show a credential, and the secrets in them."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[SecretStr, ...] = field(default=(), repr=False)


class Bearing(Protocol):
    """Sends requests with our credential."""

    async def send(
        self, build: Callable[[Borne], Request], deadline: float, refuses: Callable[[Answer], bool]
    ) -> Answer | Transient | CredentialFault:
        """Return the answer to the request that *build* makes of what it is to bear."""

    async def renewed(self, deadline: float) -> SecretStr | Transient | CredentialFault | None:
        """Buy a token anew; None where none is bought."""

    def masked(self) -> Borne:
        """Return what is borne, as it is shown."""


class _Fixed:
    """A credential that is the same in every request."""

    def __init__(self, edge: Edge, bear: Callable[[bool], Borne]) -> None:
        self._edge, self._bear = edge, bear

    async def send(
        self, build: Callable[[Borne], Request], deadline: float, refuses: Callable[[Answer], bool]
    ) -> Answer | Transient | CredentialFault:
        del refuses  # there is no other one
        return await self._edge.send(build(self._bear(False)), deadline)  # noqa: FBT003 - not masked

    async def renewed(self, deadline: float) -> SecretStr | Transient | CredentialFault | None:
        del deadline
        return None

    def masked(self) -> Borne:
        return self._bear(True)  # noqa: FBT003 - masked


class _Bought:
    """A bearer token that a login buys."""

    def __init__(self, edge: Edge, request: Callable[[], Request]) -> None:
        self._login = Login(edge, request)

    async def send(
        self, build: Callable[[Borne], Request], deadline: float, refuses: Callable[[Answer], bool]
    ) -> Answer | Transient | CredentialFault:
        return await self._login.send(lambda bearer: build(bearing(bearer)), deadline, refuses)

    async def renewed(self, deadline: float) -> SecretStr | Transient | CredentialFault | None:
        return await self._login.renewed(deadline)

    def masked(self) -> Borne:
        return bearing(MASK)


def bearing(token: SecretStr) -> Borne:
    """Return the bearer header of *token* (RFC 6750 section 2.1)."""
    return Borne({"Authorization": f"Bearer {token.get_secret_value()}"}, (token,))


def bearing_of(auth: Auth, edge: Edge) -> Bearing:
    """Return what sends with the credential of *auth*. Raises ValueError for a private key that is none."""
    match auth:
        case NoAuth():
            return _Fixed(edge, lambda _: Borne())
        case BasicAuth():
            return _Fixed(edge, lambda masked: _basic(auth.username, auth.password, masked=masked))
        case HeaderAuth():
            return _Fixed(edge, lambda masked: _header(auth, MASK if masked else auth.api_key))
        case ClientCredentials():
            return _Bought(edge, lambda: _by_secret(auth))
        case PrivateKeyJwt():
            key = key_of(auth.private_key)
            return _Bought(edge, lambda: _by_assertion(auth, key))


def _header(auth: HeaderAuth, value: SecretStr) -> Borne:
    text = " ".join(filter(None, (auth.prefix, value.get_secret_value())))
    return Borne({auth.name: text}, (value,))


def _basic(name: str, password: SecretStr, *, masked: bool = False) -> Borne:
    plain = f"{name}:{password.get_secret_value()}".encode()
    pair = MASK if masked else SecretStr(base64.b64encode(plain).decode())
    return Borne({"Authorization": f"Basic {pair.get_secret_value()}"}, (password, pair))


def _by_secret(auth: ClientCredentials) -> Request:
    """Return the login of RFC 6749 section 4.4; id and secret as section 2.3.1 codes them."""
    form = {"grant_type": auth.grant_type, **auth.extra}
    if auth.client_auth == "post":
        secret = auth.client_secret.get_secret_value()
        form |= {"client_id": auth.client_id, "client_secret": secret}
        return _login(auth.token_url, form, Borne({}, (auth.client_secret,)))
    coded = SecretStr(quote_plus(auth.client_secret.get_secret_value()))
    return _login(auth.token_url, form, _basic(quote_plus(auth.client_id), coded))


def _by_assertion(auth: PrivateKeyJwt, key: RSAKey | ECKey) -> Request:
    """Return the login of RFC 7523 section 2.2: each has an assertion of its own."""
    now = int(time.time())
    claims = {"iss": auth.client_id, "sub": auth.client_id, "aud": auth.token_url, "jti": secrets.token_urlsafe(16)}
    header = {"alg": "RS256" if key.key_type == "RSA" else "ES256", **({"kid": auth.key_id} if auth.key_id else {})}
    assertion = jwt.encode(header, {**claims, "iat": now, "exp": now + ASSERTION_LIFE}, key)
    form = {"grant_type": "client_credentials", **auth.extra, "client_assertion_type": _ASSERTION}
    return _login(auth.token_url, form | {"client_assertion": assertion}, Borne({}, (SecretStr(assertion),)))


def key_of(secret: SecretStr) -> RSAKey | ECKey:
    """Return the private key in *secret*. Raises ValueError where it is none."""
    for kind in (RSAKey, ECKey):
        with suppress(ValueError, TypeError, JoseError):
            return kind.import_key(secret.get_secret_value())
    raise ValueError("auth.private_key must be an RSA or EC private key in PEM")


def _login(url: str, form: Mapping[str, str], borne: Borne) -> Request:
    usual = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    return Request("POST", URL(url, encoded=True), {**usual, **borne.headers}, urlencode(form).encode(), borne.secrets)
