"""A console in the test's own process, and a browser without script: `pytest_plugins = ["console_fixtures"]`."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiohttp import ClientSession, DummyCookieJar, web
from aiohttp.typedefs import Handler
from cli_installation import Installation
from console_browser import Browser, Start

from worker.console import app, main
from worker.console.desk import Desk
from worker.console.sign_in.roles import OPERATOR, Role, SignedIn
from worker.settings import Settings

pytest_plugins = ["cli_fixtures"]


@pytest.fixture
async def console(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Start a console on *installation*, for somebody of a role (operator by default) and a name."""
    installation.set("console", '{"port": 0}')
    async with AsyncExitStack() as opened:

        async def start(role: Role = Role.OPERATOR, name: str = "olga") -> Browser:
            @web.middleware
            async def somebody(request: web.Request, handler: Handler) -> web.StreamResponse:
                request[OPERATOR] = SignedIn(name, role, "session-1")
                return await handler(request)

            monkeypatch.setattr(main, "make_app", lambda desk: app.make_app(desk, somebody))
            desk = Desk.open(Settings.load())
            opened.callback(desk.close)
            url = await opened.enter_async_context(main.serving(desk))
            session = await opened.enter_async_context(
                ClientSession(cookie_jar=DummyCookieJar(), headers={"Sec-Fetch-Site": "same-origin"})
            )
            return Browser(session, url)

        yield start
