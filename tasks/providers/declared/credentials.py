"""What a request of a declared provider bears: our credential by its scheme, bought anew where it must be."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote_plus, urlencode

from pydantic import SecretStr
from yarl import URL

from tasks.outcome import CredentialFault, Transient
from tasks.providers.answers import Answer
from tasks.providers.declared.assertions import ASSERTION_TYPE, GRANT_TYPE, Signer
from tasks.providers.declared.auth import (
    Auth,
    AwsSigV4,
    BasicAuth,
    ClientCredentials,
    ClientSecret,
    HeaderAuth,
    JwtBearer,
    NoAuth,
    PrivateKeyJwt,
    SignedJwt,
)
from tasks.providers.declared.sigv4 import ALGORITHM, AwsSigner
from tasks.providers.http import Edge, Purpose
from tasks.providers.oauth import Login
from tasks.providers.provider import MASK, Request


@dataclass(frozen=True, slots=True)
class Borne:
    """What shows a credential: headers, or members of a form; and the secrets in them."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[SecretStr, ...] = field(default=(), repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)


class Bearing(Protocol):
    """Sends requests with our credential."""

    async def send(
        self,
        build: Callable[[Borne], Request],
        deadline: float,
        refuses: Callable[[Answer], bool],
        purpose: Purpose = "revocation",
    ) -> Answer | Transient | CredentialFault:
        """Return the answer to the request that *build* makes of what it is to bear."""

    async def renewed(self, deadline: float) -> SecretStr | Transient | CredentialFault | None:
        """Buy a token anew; None where none is bought."""

    def masked(self) -> Borne:
        """Return what is borne, as it is shown."""


class _Direct:
    """A credential that the request itself shows, or a signature of all of it: no login goes before."""

    def __init__(
        self, edge: Edge, bear: Callable[[bool], Borne], sign: Callable[[Request], Request] = lambda it: it
    ) -> None:
        self._edge, self._bear, self._sign = edge, bear, sign

    async def send(
        self,
        build: Callable[[Borne], Request],
        deadline: float,
        refuses: Callable[[Answer], bool],
        purpose: Purpose = "revocation",
    ) -> Answer | Transient | CredentialFault:
        del refuses  # there is no other one
        return await self._edge.send(self._sign(build(self._bear(False))), deadline, purpose)  # noqa: FBT003 - not masked

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
        self,
        build: Callable[[Borne], Request],
        deadline: float,
        refuses: Callable[[Answer], bool],
        purpose: Purpose = "revocation",
    ) -> Answer | Transient | CredentialFault:
        return await self._login.send(lambda bearer: build(bearing(bearer)), deadline, refuses, purpose)

    async def renewed(self, deadline: float) -> SecretStr | Transient | CredentialFault | None:
        return await self._login.renewed(deadline)

    def masked(self) -> Borne:
        return bearing(MASK)


def bearing(token: SecretStr) -> Borne:
    """Return the bearer header of *token* (RFC 6750 section 2.1)."""
    return Borne({"Authorization": f"Bearer {token.get_secret_value()}"}, (token,))


def bearing_of(auth: Auth, edge: Edge) -> Bearing:
    """Return what sends with the credential of *auth*."""
    match auth:
        case ClientCredentials():
            return _Bought(edge, lambda: _by_secret(auth))
        case PrivateKeyJwt(token_url=str(url)):
            asserter = Signer(auth)
            return _Bought(edge, lambda: _by_assertion(auth, url, asserter.assertion(auth)))
        case JwtBearer():
            granter = Signer(auth)
            return _Bought(edge, lambda: _by_grant(auth, granter.grant(auth)))
        case AwsSigV4():
            return _Direct(edge, _signature, AwsSigner(auth).signed)
        case _:
            return _Direct(edge, _shown_by(auth))


def _shown_by(
    auth: NoAuth | BasicAuth | HeaderAuth | ClientSecret | PrivateKeyJwt | SignedJwt,
) -> Callable[[bool], Borne]:
    """Return what makes the credential of a request, told whether to mask it."""
    match auth:
        case NoAuth():
            return lambda _: Borne()
        case BasicAuth():
            return lambda masked: _basic(auth.username, MASK if masked else auth.password)
        case HeaderAuth():
            return lambda masked: _header(auth, MASK if masked else auth.api_key)
        case ClientSecret():
            shown = _posted if auth.scheme == "client_secret_post" else _coded
            return lambda masked: shown(auth.client_id, MASK if masked else auth.client_secret)
        case PrivateKeyJwt():
            asserter = Signer(auth)
            return lambda masked: _asserted(auth.client_id, MASK if masked else asserter.assertion(auth))
        case SignedJwt():
            signer = Signer(auth)
            return lambda masked: bearing(MASK if masked else signer.bearer(auth))


def _signature(masked: bool) -> Borne:  # noqa: FBT001 - as `_shown_by` has it
    """Return nothing, since it is added to the whole request; masked, what is shown in its place."""
    return Borne({"Authorization": f"{ALGORITHM} {MASK.get_secret_value()}"} if masked else {})


def _header(auth: HeaderAuth, value: SecretStr) -> Borne:
    text = " ".join(filter(None, (auth.prefix, value.get_secret_value())))
    return Borne({auth.name: text}, (value,))


def _basic(name: str, password: SecretStr) -> Borne:
    plain = f"{name}:{password.get_secret_value()}".encode()
    pair = MASK if password is MASK else SecretStr(base64.b64encode(plain).decode())
    return Borne({"Authorization": f"Basic {pair.get_secret_value()}"}, (password, pair))


def _coded(client_id: str, secret: SecretStr) -> Borne:
    """Return the header of an OAuth client: id and secret are coded as in a form (RFC 6749 section 2.3.1)."""
    coded = secret if secret is MASK else SecretStr(quote_plus(secret.get_secret_value()))
    return _basic(quote_plus(client_id), coded)


def _posted(client_id: str, secret: SecretStr) -> Borne:
    return Borne(form={"client_id": client_id, "client_secret": secret.get_secret_value()}, secrets=(secret,))


def _asserted(client_id: str, assertion: SecretStr) -> Borne:
    """Return the members of RFC 7523 section 2.2."""
    members = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion.get_secret_value()}
    return Borne(form={"client_id": client_id, **members}, secrets=(assertion,))


def _by_secret(auth: ClientCredentials) -> Request:
    """Return the login of RFC 6749 section 4.4."""
    shown = _posted if auth.client_auth == "post" else _coded
    form = {"grant_type": auth.grant_type, **auth.extra}
    return _login(auth.token_url, form, shown(auth.client_id, auth.client_secret))


def _by_assertion(auth: PrivateKeyJwt, url: str, assertion: SecretStr) -> Request:
    """Return the same login by a client that signs: each has an assertion of its own."""
    return _login(url, {"grant_type": "client_credentials", **auth.extra}, _asserted(auth.client_id, assertion))


def _by_grant(auth: JwtBearer, grant: SecretStr) -> Request:
    """Return the login of RFC 7523 section 2.1."""
    borne = Borne(form={"assertion": grant.get_secret_value()}, secrets=(grant,))
    return _login(auth.token_url, {"grant_type": GRANT_TYPE}, borne)


def _login(url: str, form: Mapping[str, str], borne: Borne) -> Request:
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded", **borne.headers}
    return Request("POST", URL(url, encoded=True), headers, urlencode({**form, **borne.form}).encode(), borne.secrets)
