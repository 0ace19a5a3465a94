"""A console that knows its people, and browsers with cookies."""

import json
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ssl import SSLContext
from typing import Any, Self

from aiohttp import ClientSession, CookieJar, TCPConnector
from cli_installation import Installation
from html_check import read

from worker.console import main
from worker.console.desk import Desk
from worker.settings import Settings

DAY = timedelta(days=1)
PASSWORD = "correct horse battery staple"
HASH = "$argon2id$v=19$m=65536,t=3,p=4$mE00drvXBhOWiVn6bQASVA$qYmeR9OWuAtmIIuFmMEdO6LmrjxRhRtBTQ70idCk65s"  # of it


@dataclass(frozen=True, slots=True)
class Reply:
    """What the console answered."""

    status: int
    place: str  # where it sends the browser
    cookies: list[str]  # as they stand in the headers
    text: str

    @property
    def fault(self) -> str:
        """What the page says is wrong."""
        return read(self.text).one("p", class_="fault").text


class Visitor:
    """A browser at the console, which says where its requests come from, and follows no redirect by itself."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def get(self, path: str, **headers: str) -> Reply:
        """Open a page."""
        return await self._ask("GET", path, {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", **headers})

    async def post(self, path: str, fields: dict[str, str] | None = None, **headers: str) -> Reply:
        """Send a form of a page of the console."""
        return await self._ask("POST", path, {"Sec-Fetch-Site": "same-origin", **headers}, data=fields or {})

    async def sign_in(self, name: str = "olga", password: str = PASSWORD, **fields: str) -> Reply:
        """Sign in by password."""
        return await self.post("/sign-in", {"name": name, "password": password, **fields})

    @property
    def is_in(self) -> Awaitable[bool]:
        """Whether a page is shown."""
        return self._is_in()

    async def _is_in(self) -> bool:
        return (await self.get("/settings")).status == 200

    async def _ask(self, method: str, path: str, headers: dict[str, str], **more: Any) -> Reply:
        url = path if path.startswith("http") else f"{self.url}{path}"
        whole = {name.replace("_", "-"): value for name, value in headers.items()}  # the later one of two
        given = {name: value for name, value in whole.items() if value}
        async with self.session.request(method, url, headers=given, allow_redirects=False, **more) as answer:
            cookies = answer.headers.getall("Set-Cookie", [])
            return Reply(answer.status, answer.headers.get("Location", ""), cookies, await answer.text())


class Door:
    """A console on *installation*, and whoever comes."""

    def __init__(self, installation: Installation, opened: AsyncExitStack) -> None:
        self.installation, self._opened = installation, opened
        self._serving = AsyncExitStack()
        self.url = ""
        self.users: dict[str, dict[str, Any]] = {}
        self.file = installation.home / "users.json"
        self.settings: dict[str, Any] = {"port": 0, "users_file": str(self.file)}
        self.user("olga", "operator", "olga@example.com")
        self.user("viktor", "viewer")

    def user(self, name: str, role: str, *known_as: str, password: str = HASH, added: timedelta = DAY) -> None:
        """Have the users' file name somebody, who was *added* so long ago."""
        since = (datetime.now(UTC) - added).isoformat()
        self.users[name] = {"role": role, "password": password, "known_as": known_as, "since": since}
        self.write_users()

    def write_users(self) -> None:
        """Write the users' file as an operator would: in place of the one before."""
        self.write(json.dumps({"users": self.users}))

    def write(self, text: str) -> None:
        """Put *text* in place of the users' file."""
        file = self.installation.home / "new-users"
        file.write_text(text)
        file.chmod(0o600)
        file.rename(self.file)

    def content(self) -> tuple[str, int]:
        """What the users' file holds, and its mode."""
        return self.file.read_text(), self.file.stat().st_mode & 0o777

    async def open(self, **settings: Any) -> Self:
        """Start the console with these settings."""
        self.settings |= settings
        self.installation.set("console", json.dumps(self.settings))
        return await self.again()

    async def again(self) -> Self:
        """Start it, or start it anew."""
        await self.close()
        self.desk = Desk.open(Settings.load())
        self._serving.callback(self.desk.close)
        self.desk.ledger.upgrade()
        self.url = await self._serving.enter_async_context(main.serving(self.desk))
        return self

    async def close(self) -> None:
        """Stop the console, if it runs."""
        await self._serving.aclose()

    async def visitor(self, tls: SSLContext | None = None) -> Visitor:
        """Somebody with a browser of their own."""
        jar = CookieJar(unsafe=True)  # the console's name is an address
        session = ClientSession(connector=TCPConnector(ssl=tls or True), cookie_jar=jar)
        return Visitor(await self._opened.enter_async_context(session), self.url)

    async def somebody(self, name: str = "olga") -> Visitor:
        """Somebody who signed in."""
        visitor = await self.visitor()
        assert (await visitor.sign_in(name)).status == 303
        return visitor
