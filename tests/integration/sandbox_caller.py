"""A client of the sandbox, with the words its tests speak in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse, ClientSession, encode_basic_auth
from aiohttp.test_utils import TestServer

from tasks.providers.wibmo.ciphers.schemes import Cipher, make_cipher
from worker.sandbox import SandboxConfig, make_app

TOKEN = "planted-marker-token-77"
USER = "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77"
CONFIG = SandboxConfig()
CIPHER = make_cipher(CONFIG.cipher)
INVALIDATE = "/wibmo/token-service/client/server/invalidate/token"
ME = "/genesys/api/v2/tokens/me"
FINBOURNE = "/finbourne/identity/api/tokens"


class Caller:
    """A client of one sandbox, with the words the tests speak in."""

    def __init__(self, session: ClientSession) -> None:
        self.session = session

    async def ask(self, method: str, path: str, token: str = "", **more: Any) -> ClientResponse:
        """Make one request, read its answer."""
        headers = more.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        answer = await self.session.request(method, path, headers=headers, allow_redirects=False, **more)
        await answer.read()
        return answer

    async def login(self, organisation: str = "genesys") -> str:
        """Return a worker token."""
        form = {"grant_type": "client_credentials"}
        answer = await self.ask("POST", f"/{organisation}/oauth/token", data=form, headers=basic())
        return str((await answer.json())["access_token"])

    async def seed(self, provider: str, token: str = TOKEN, **more: str) -> None:
        """Make a token live."""
        name = "token_reference_id" if provider == "wibmo" else "token"
        await self.post("tokens", [{"provider": provider, name: token, **more}])

    async def script(self, *faults: dict[str, Any]) -> None:
        """Let things go wrong."""
        await self.post("faults", list(faults))

    async def post(self, path: str, document: object) -> None:
        """Post to the sandbox's own door."""
        assert (await self.ask("POST", f"/_sandbox/{path}", json=document)).status == 201

    async def invalidate(
        self, reference: str = TOKEN, api_key: str = "sandbox-api-key", cipher: Cipher = CIPHER
    ) -> ClientResponse:
        """Revoke at wibmo."""
        body = cipher.encrypt(json.dumps({"tokenReferenceId": reference}).encode())
        headers = {"X-API-KEY": api_key, "Content-Type": "text/plain"}
        return await self.ask("POST", INVALIDATE, data=body, headers=headers)

    async def journal(self, query: str = "") -> list[dict[str, Any]]:
        """Read what the providers saw."""
        answer = await self.ask("GET", f"/_sandbox/journal{query}")
        assert TOKEN not in await answer.text()
        return list(await answer.json())


def basic(client_id: str = CONFIG.client_id, secret: str = CONFIG.client_secret.get_secret_value()) -> dict[str, str]:
    """Return the header of a login."""
    return {"Authorization": encode_basic_auth(client_id, secret)}


@asynccontextmanager
async def sandbox(**settings: Any) -> AsyncIterator[Caller]:
    """Run a sandbox on a free port."""
    server = TestServer(make_app(SandboxConfig(**settings)))
    async with server, ClientSession(server.make_url("/")) as session:
        yield Caller(session)
