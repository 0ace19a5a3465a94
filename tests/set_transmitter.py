"""A transmitter of Security Event Tokens that lets its tokens be polled (RFC 8936), on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web
from door_peer import ISSUER, Idp
from servers import free_port

AUDIENCE: Final = "https://revoker.example.com/events"
REVOKED: Final = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"


class Transmitter:
    """Keeps tokens until they are acknowledged or refused; *hold* is how long it holds a long poll, in seconds."""

    def __init__(self, idp: Idp, secret: str, hold: float = 0.0) -> None:
        self.idp, self.secret, self.hold = idp, secret, hold
        self.url = f"http://127.0.0.1:{free_port()}"
        self.kept: dict[str, str] = {}  # by jti
        self.acknowledged: list[str] = []
        self.refused: dict[str, str] = {}  # jti → err
        self.asked: list[dict[str, Any]] = []
        self.status: list[tuple[int, dict[str, str]]] = []  # answers that come before any other

    def tell(self, jti: str, user: str, **claims: Any) -> None:
        """Keep a token that says that every session of *user* was revoked."""
        whole = {"aud": AUDIENCE, "exp": None, "jti": jti, "sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": user}}
        self.kept[jti] = self.idp.token("secevent+jwt", **{**whole, "events": {REVOKED: {}}, **claims})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Transmitter"]:
        """Serve until the end of the block."""
        app = web.Application()
        app.router.add_post("/poll", self._poll)
        app.router.add_get("/keys", self._keys)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(self.url.rpartition(":")[2])).start()
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _keys(self, _: web.Request) -> web.Response:
        return web.json_response(json.loads(self.idp.jwks.read_text()))

    async def _poll(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {self.secret}"
        asked = await request.json()
        self.asked.append(asked)
        if self.status:
            status, headers = self.status.pop(0)
            return web.Response(status=status, headers=headers)
        for jti in asked["ack"]:
            self.acknowledged += [jti] if self.kept.pop(jti, None) else []
        for jti, error in asked["setErrs"].items():
            self.refused |= {jti: error["err"]} if self.kept.pop(jti, None) else {}
        if not self.kept and not asked["returnImmediately"]:
            await asyncio.sleep(self.hold)
        some = dict([*self.kept.items()][: asked["maxEvents"]])
        return web.json_response({"sets": some, "moreAvailable": len(self.kept) > len(some)})
