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
VERIFICATION: Final = "https://schemas.openid.net/secevent/ssf/event-type/verification"
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
        self.streams: dict[str, dict[str, Any]] = {}
        self.issuer = ISSUER
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
        app.router.add_get("/.well-known/ssf-configuration/{path:.*}", self._configuration)
        app.router.add_route("*", "/streams", self._streams)
        app.router.add_route("*", "/status", self._status)
        app.router.add_post("/verify", self._verify)
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

    async def _configuration(self, _: web.Request) -> web.Response:
        """As in SSF 1.0, section 7.1."""
        ends = {"configuration": "streams", "status": "status", "verification": "verify"}
        told = {f"{name}_endpoint": f"{self.url}/{path}" for name, path in ends.items()}
        return web.json_response({"issuer": self.issuer, "jwks_uri": f"{self.url}/keys", **told})

    async def _streams(self, request: web.Request) -> web.Response:
        """As in SSF 1.0, section 8.1.1."""
        assert request.headers["Authorization"] == f"Bearer {self.secret}"
        if request.method == "POST":
            wanted = await request.json()
            poll = {"endpoint_url": f"{self.url}/poll"} if wanted["delivery"]["method"] == "urn:ietf:rfc:8936" else {}
            stream = {"stream_id": f"s{len(self.streams)}", "iss": self.issuer, "aud": AUDIENCE, **wanted}
            stream |= {"delivery": {**wanted["delivery"], **poll}, "events_delivered": wanted["events_requested"]}
            self.streams[stream["stream_id"]] = {**stream, "status": "enabled"}
            return web.json_response(stream, status=201)
        stream_id = request.query.get("stream_id")
        if stream_id and stream_id not in self.streams:
            return web.Response(status=404)
        if request.method == "DELETE":
            del self.streams[str(stream_id)]
            return web.Response(status=204)
        return web.json_response(self.streams[stream_id] if stream_id else [*self.streams.values()])

    async def _status(self, request: web.Request) -> web.Response:
        """As in SSF 1.0, section 8.1.2."""
        told = dict(request.query) if request.method == "GET" else await request.json()
        stream = self.streams[told["stream_id"]]
        stream |= {"status": told.get("status", stream["status"])}
        return web.json_response({"stream_id": told["stream_id"], "status": stream["status"]})

    async def _verify(self, request: web.Request) -> web.Response:
        """As in SSF 1.0, section 8.1.4: the event is about the stream."""
        told = await request.json()
        subject, payload = {"format": "opaque", "id": told["stream_id"]}, {"state": told["state"]}
        self.tell(f"v-{told['state']}", "", sub_id=subject, events={VERIFICATION: payload})
        return web.Response(status=204)
