"""An OpenID provider of a test's own, which can be told to do wrong what it should do right."""

import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc.jwk import RSAKey

from tasks.sealing.envelope import base64url

CLIENT, SECRET = "console", "planted-client-secret-0123456789"
ROLES = {"desk-operators": "operator", "staff": "viewer"}  # of the groups that it tells
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"


class OpenIdProvider:
    """Lets in whoever comes, as the person of `claims`; `wrong` says what it does otherwise than it should."""

    def __init__(self) -> None:
        self.issuer = ""
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.claims: dict[str, Any] = {"sub": "sub-of-olga", "email": "olga@example.com", "email_verified": True}
        self.claims |= {"groups": ["staff", "desk-operators"], "sid": "session-there"}
        self.userinfo: dict[str, Any] = {}
        self.changed: dict[str, Any] = {}  # claims that the ID token has instead; None: not at all
        self.metadata: dict[str, Any] = {}  # likewise of what it says of itself
        self.answer: dict[str, str | None] = {}  # parameters that the way back has instead
        self.header: dict[str, Any] = {}  # of the ID token
        self.body: dict[str, str] = {}  # path → what is answered instead
        self.asked: dict[str, str] = {}  # the last request for authorization
        self.forms: list[dict[str, str]] = []  # what was sent for tokens
        self.looks: list[str] = []  # every path that was asked for

    def app(self) -> web.Application:
        """It as an application."""
        app = web.Application(middlewares=[self._instead])
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/userinfo", self._userinfo)
        return app

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        """A token of *claims* as it would sign it."""
        now = int(time.time())
        whole = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300} | claims
        told = {name: value for name, value in whole.items() if value is not None}
        head = {"alg": "RS256", "kid": self.key.kid} | self.header | header
        text = f"{_coded(head)}.{_coded(told)}".encode()
        return f"{text.decode()}.{base64url(self._signature(head['alg'], text))}"

    def _signature(self, algorithm: str, text: bytes) -> bytes:
        match algorithm:
            case "none":
                return b""
            case "HS256":  # by the public key, which everybody knows
                return hmac.digest(self.key.as_pem(private=False), text, "sha256")
        assert self.key.private_key
        return self.key.private_key.sign(text, padding.PKCS1v15(), hashes.SHA256())

    def logout_token(self, **changed: Any) -> str:
        """What says that the person signed out there."""
        claims = {"sub": self.claims["sub"], "jti": "j1", "events": {LOGOUT: {}}}
        return self.signed(claims | changed)

    @web.middleware
    async def _instead(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.looks.append(request.path)
        if request.path in self.body:
            return web.Response(text=self.body[request.path], content_type="application/json")
        return await handler(request)  # type: ignore[no-any-return] # aiohttp's own handlers

    async def _discovery(self, _: web.Request) -> web.Response:
        paths = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        document: dict[str, Any] = {name: f"{self.issuer}/{path}" for name, path in paths.items()}
        document |= {"issuer": self.issuer, "authorization_response_iss_parameter_supported": True}
        return web.json_response(document | self.metadata)

    async def _authorize(self, request: web.Request) -> web.Response:
        self.asked = dict(request.query)
        told = {"code": "code-1", "state": self.asked["state"], "iss": self.issuer} | self.answer
        back = urlencode({name: value for name, value in told.items() if value is not None})
        raise web.HTTPFound(f"{self.asked['redirect_uri']}?{back}")

    async def _token(self, request: web.Request) -> web.Response:
        self.forms.append({name: values[0] for name, values in parse_qs(await request.text()).items()})
        claims = {**self.claims, "nonce": self.asked.get("nonce")} | self.changed
        return web.json_response({"id_token": self.signed(claims), "access_token": "access-1", "token_type": "Bearer"})

    async def _keys(self, _: web.Request) -> web.Response:
        post_quantum = {"kty": "AKP", "alg": "ML-DSA-65", "kid": "later", "pub": "AA"}
        return web.json_response({"keys": [post_quantum, self.key.as_dict(private=False)]})

    async def _userinfo(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer access-1"
        return web.Response(text=json.dumps(self.userinfo), content_type="application/json")


def _coded(document: dict[str, Any]) -> str:
    return base64url(json.dumps(document).encode())


@asynccontextmanager
async def serving() -> AsyncIterator[OpenIdProvider]:
    """One that listens on loopback until the end of the block."""
    provider = OpenIdProvider()
    runner = web.AppRunner(provider.app(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        provider.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield provider
    finally:
        await runner.cleanup()
