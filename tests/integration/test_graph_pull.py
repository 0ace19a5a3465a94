"""The look at a tenant of Microsoft Entra, over HTTP: whom a page logs out, and what becomes of the subscription."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from door_accounts import KeptAccounts
from graph_samples import CHANGED, STATE, USER
from servers import Processes, wait_until
from system import System

from tasks.doors import ForeignEvent
from tasks.doors.graph import Settings
from tasks.doors.graph_pull import GraphPull
from tasks.doors.pull import PullFailed, Reach
from tasks.providers.http import Edge, open_session
from worker import broker
from worker.broker import topology

NOW: Final = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
ADA, BOB = USER, "605d1257-ffff-40b6-8e6f-528a53f5dc55"
ON: Final = {"accountEnabled": True}
OFF: Final = {"accountEnabled": False}


WRITTEN: Final = {
    "kind": "graph",
    "tenant": "acme.example.com",
    "client_id": "24d3b144",
    "client_secret": "a+secret",
    "subject_issuer": "https://sts.example.com/",
}


class Tenant:
    """Graph as far as it is asked: pages by their token, one subscription, and what was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}  # by token: rows and the next token, or a refusal
        self.asked: list[tuple[str, Any]] = []
        self.bearer = "t1"
        self.subscription: str | None = None
        self.refuses: int | None = None  # every change of the subscription
        self.url = ""

    async def log_in(self, request: web.Request) -> web.Response:
        """Give a token to our application."""
        form = await request.post()
        self.asked.append(("login", dict(form)))
        return web.json_response({"access_token": self.bearer, "expires_in": 3599, "token_type": "Bearer"})

    async def delta(self, request: web.Request) -> web.Response:
        """Give the page of a token."""
        if request.headers.get("Authorization") != f"Bearer {self.bearer}":
            return web.json_response({"error": {"code": "InvalidAuthenticationToken"}}, status=401)
        query = request.query
        token = query.get("$skiptoken") or query.get("$deltatoken") or query["$select"]
        page = self.pages[token]
        if isinstance(page, web.Response):
            return web.Response(status=page.status, body=page.body, headers=page.headers)
        rows, name, then = page
        return web.json_response({"value": rows, f"@odata.{name}Link": self.link(name, then)})

    def link(self, name: str, token: str) -> str:
        """The URL of another page."""
        return f"{self.url}/v1.0/users/delta?${'skip' if name == 'next' else 'delta'}token={token}"

    async def subscribe(self, request: web.Request) -> web.Response:
        """Make or renew the subscription."""
        self.asked.append((request.method, await request.json()))
        if self.refuses:
            return web.json_response({"error": {"code": "ExtensionError"}}, status=self.refuses)
        if request.method == "PATCH" and request.match_info["id"] != self.subscription:
            return web.json_response({"error": {"code": "ResourceNotFound"}}, status=404)
        self.subscription = self.subscription or "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"
        return web.json_response({"id": self.subscription}, status=201 if request.method == "POST" else 200)

    @property
    def app(self) -> web.Application:
        """The server."""
        app = web.Application()
        app.router.add_post("/acme.example.com/oauth2/v2.0/token", self.log_in)
        app.router.add_get("/v1.0/users/delta", self.delta)
        app.router.add_post("/v1.0/subscriptions", self.subscribe)
        app.router.add_patch("/v1.0/subscriptions/{id}", self.subscribe)
        return app


class Looking:
    """A door that looks at *tenant*, page by page, with what it keeps."""

    def __init__(self, tenant: Tenant, pull: GraphPull) -> None:
        self.tenant, self._pull = tenant, pull
        self.accounts = KeptAccounts()
        self.cursor: str | None = None

    async def looks(self, at: datetime = NOW) -> list[ForeignEvent]:
        """Look until there is no more."""
        told: list[ForeignEvent] = []
        while True:
            found = await self._pull.pull(self.cursor, at)
            told += self._pull.settle(found.news, self.accounts, at)
            self.cursor = found.cursor
            if not found.more:
                return told


@asynccontextmanager
async def looking(**settings: Any) -> AsyncIterator[Looking]:
    """A tenant, and a door that looks at it."""
    tenant = Tenant()
    async with TestServer(tenant.app) as server, open_session() as session:
        tenant.url = f"http://127.0.0.1:{server.port}"
        here = {"graph_url": tenant.url, "login_url": tenant.url}
        reach = Reach(Edge(session, 5.0), no_keys)
        yield Looking(tenant, GraphPull(Settings.model_validate({**WRITTEN, **here, **settings}), reach))


async def no_keys(_anew: bool) -> None:  # noqa: FBT001 - as a Reach asks
    """A tenant's pages are not signed."""


def said(events: list[ForeignEvent]) -> list[tuple[str, str, str]]:
    """What events say."""
    return [(each.type, each.data["sub_id"]["sub"], each.data["reason"]) for each in events]


async def test_who_is_disabled_from_now_on_is_logged_out() -> None:
    """The first list logs out nobody; then a disabled, deleted, restored user is told, each change once."""
    async with looking() as door:
        tenant = door.tenant
        tenant.pages["accountEnabled"] = ([{"id": ADA, **ON}], "next", "s1")
        tenant.pages["s1"] = ([{"id": BOB, **OFF}, {"id": "gone", "@removed": {"reason": "deleted"}}], "delta", "d1")
        assert await door.looks() == []
        assert tenant.asked[0][1] == {
            "grant_type": "client_credentials",
            "client_id": "24d3b144",
            "client_secret": "a+secret",
            "scope": f"{tenant.url}/.default",
        }
        tenant.pages["d1"] = ([{"id": ADA, **OFF}, {"id": BOB, **OFF}, {"id": ADA, **OFF}], "delta", "d2")
        told = await door.looks()
        assert said(told) == [("user.disabled", ADA, "accountEnabled")]
        assert told[0].data["sub_id"] == {"format": "iss_sub", "iss": "https://sts.example.com/", "sub": ADA}
        tenant.pages["d2"] = ([{"id": BOB, **ON}, {"id": ADA, **ON}], "delta", "d3")
        assert said(await door.looks()) == [("user.enabled", user, "accountEnabled") for user in (BOB, ADA)]
        tenant.pages["d3"] = ([{"id": ADA, "@removed": {"reason": "changed"}}, {"id": "new", **ON}], "delta", "d4")
        assert said(await door.looks()) == [("user.disabled", ADA, "deleted")]
        tenant.pages["d4"] = (
            [{"id": ADA, "@removed": {"reason": "deleted"}}, {"id": BOB}, {"id": 7, **OFF}, {"id": "a\0b", **OFF}, "x"],
            "delta",
            "d5",
        )
        assert await door.looks() == []
        assert door.accounts.count() == 3  # who is disabled, or was


async def test_where_our_place_is_forgotten_everybody_is_listed_and_nobody_is_missed() -> None:
    """Whoever became disabled meanwhile is told: that is no first list."""
    async with looking() as door:
        door.tenant.pages["accountEnabled"] = ([{"id": ADA, **ON}, {"id": BOB, **OFF}], "delta", "d1")
        await door.looks()
        gone = web.json_response({"error": {"code": "syncStateNotFound"}}, status=410)
        door.tenant.pages |= {"d1": gone, "accountEnabled": ([{"id": ADA, **OFF}, {"id": BOB, **OFF}], "delta", "d2")}
        assert said(await door.looks()) == [("user.disabled", ADA, "accountEnabled")]
        door.tenant.pages["d2"] = web.json_response({"error": {"code": "Request_BadRequest"}}, status=400)
        with pytest.raises(PullFailed, match=r"http\.4xx\.bad_request"):
            await door.looks()


@pytest.mark.parametrize(
    "page",
    [
        {"value": []},
        {"value": {}, "@odata.deltaLink": "{url}/x"},
        {"value": [], "@odata.deltaLink": "https://attacker.example.com/v1.0/users/delta"},
        {"value": [], "@odata.nextLink": 7},
    ],
)
async def test_our_token_goes_nowhere_else(page: dict[str, Any]) -> None:
    """Not even where a page says so; a page that leads nowhere changes nothing."""
    async with looking() as door:
        whole = {
            name: str(each).replace("{url}", door.tenant.url) if isinstance(each, str) else each
            for name, each in page.items()
        }
        door.tenant.pages["accountEnabled"] = web.json_response(whole)
        with pytest.raises(PullFailed, match=r"reply\.bad"):
            await door.looks()
        assert door.cursor is None


async def test_a_refused_token_is_renewed_and_a_busy_tenant_is_left_alone() -> None:
    """For as long as it asks."""
    async with looking() as door:
        door.tenant.pages["accountEnabled"] = ([], "delta", "d1")
        await door.looks()
        door.tenant.bearer = "t2"
        busy = web.json_response({"error": {"code": "TooManyRequests"}}, status=429, headers={"Retry-After": "17"})
        door.tenant.pages["d1"] = busy
        with pytest.raises(PullFailed) as refused:
            await door.looks()
        assert (refused.value.reason, refused.value.retry_after) == ("http.429", 17.0)
        assert [name for name, _ in door.tenant.asked] == ["login", "login"]


async def test_the_subscription_is_made_renewed_and_made_again() -> None:
    """It dies without a word (msgraph-training-changenotifications#26, microsoft-graph-docs-contrib#3111).

    Short ones are asked for all the time (#2166), so it lives for days and is renewed all the same.
    """
    async with looking(notification_url="https://revoker.example.com/graph", client_state=STATE) as door:
        tenant = door.tenant
        tenant.pages |= {"accountEnabled": ([], "delta", "d1"), "d1": ([], "delta", "d1")}
        await door.looks()
        assert tenant.asked[-1] == (
            "POST",
            {
                "changeType": "updated,deleted",
                "resource": "users",
                "notificationUrl": "https://revoker.example.com/graph",
                "lifecycleNotificationUrl": "https://revoker.example.com/graph",
                "clientState": STATE,
                "expirationDateTime": "2026-11-30T12:00:00Z",
            },
        )
        await door.looks(NOW + timedelta(minutes=9))
        assert tenant.asked[-1][0] == "POST"
        await door.looks(NOW + timedelta(minutes=10))
        assert tenant.asked[-1] == ("PATCH", {"expirationDateTime": "2026-11-30T12:10:00Z"})
        tenant.subscription = None
        await door.looks(NOW + timedelta(minutes=20))
        assert [name for name, _ in tenant.asked[-2:]] == ["PATCH", "POST"]
        tenant.refuses = 503
        tenant.pages["d1"] = ([{"id": ADA, **OFF}], "delta", "d1")
        assert len(await door.looks(NOW + timedelta(minutes=30))) == 1  # what fails stands in nobody's way
        await door.looks(NOW + timedelta(minutes=31))
        assert [name for name, _ in tenant.asked[-2:]] == ["PATCH", "PATCH"]


async def test_a_notification_logs_out_whom_the_tenant_disabled(tmp_path: Path, processes: Processes) -> None:
    """Through real processes: the door notes it, the sweep looks, and the event is the intake's, within seconds."""
    tenant = Tenant()
    async with TestServer(tenant.app) as server:
        tenant.url = f"http://127.0.0.1:{server.port}"
        tenant.pages = {"accountEnabled": ([{"id": ADA, **ON}], "delta", "d1"), "d1": ([], "delta", "d1")}
        door = {
            **WRITTEN,
            "graph_url": tenant.url,
            "login_url": tenant.url,
            "client_state": STATE,
            "sweep_interval": 3600,
        }
        sources = {"entra": {"source": "https://sts.example.com/", "doors": ["entra"]}}
        url = f"embedded:///{tmp_path / 'system' / 'broker.sqlite3'}"
        system = System(tmp_path / "system", url, processes, doors={"entra": door}, sources=sources, door={"port": 0})
        with broker.connect(url) as connection:
            topology.declare(connection, [])
        serving = processes.start("revoker", "door", env=system.shown("door"), name="door")
        processes.start("revoker", "sweep", env=system.shown("sweep"), name="sweep")
        await asyncio.to_thread(
            wait_until, lambda: "revoker_sweep_last_look" in system.page("sweep")[1], 30, "the first look"
        )
        await asyncio.to_thread(wait_until, lambda: "door.listening" in serving.output, 30, "the door")
        [at] = re.findall(r"http://127\.0\.0\.1:\d+", serving.output)
        tenant.pages["d1"] = ([{"id": ADA, **OFF}], "delta", "d2")
        async with aiohttp.ClientSession() as session, session.post(f"{at}/entra", data=CHANGED) as response:
            assert response.status == 202
        await asyncio.to_thread(wait_until, lambda: told(url) == [ADA], 30, "the event")
        system.close()


def told(url: str) -> list[str]:
    """Whom the events in the intake's queue are about; they stay there."""
    with broker.connect(url) as connection:
        channel = connection.channel()
        found = [*iter(lambda: channel.basic_get(topology.INTAKE_URGENT.name, no_ack=False), None)]
        return [json.loads(each.body)["data"]["sub_id"]["sub"] for each in found]
