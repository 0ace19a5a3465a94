"""A browser without script, and what a console answers it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession
from html_check import Element, read

Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the console answered."""

    status: int
    headers: Any
    text: str
    path: str  # where it was in the end

    @property
    def page(self) -> Element:
        """The page, which is checked."""
        return read(self.text)


class Browser:
    """Asks the console at *url* as somebody whom it takes for an operator."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def get(self, path: str, status: int = 200, **headers: str) -> Answer:
        """The page at *path*, which has this status."""
        return await self._ask("GET", path, status, headers=headers)

    async def post(self, path: str, fields: Fields, status: int = 200) -> Answer:
        """What a form leads to."""
        return await self._ask("POST", path, status, data=fields)

    async def _ask(self, method: str, path: str, status: int, **more: Any) -> Answer:
        async with self.session.request(method, f"{self.url}{path}", **more) as answer:
            text = await answer.text()
            assert answer.status == status, text
            return Answer(answer.status, answer.headers, text, answer.url.raw_path_qs)


Start = Callable[..., Awaitable[Browser]]
"""Starts a console for somebody of a role (operator by default) and a name."""
