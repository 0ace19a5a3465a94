"""Who changed what, when and why, and whether the record of it is whole."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from tasks.instants import parse_instant
from worker.console.commands import command, operands
from worker.console.desk import Desk, desk_of
from worker.console.forms import Fields, read
from worker.console.pages import render
from worker.ledger import AuditedChange, AuditFilter, Verified
from worker.operations import audit as operations
from worker.operations import parsing

ROUTES: Final = web.RouteTableDef()
PAGE: Final = 50  # changes on a page
_FIELDS: Final = ("actor", "action", "since", "until")
_ADDRESS: Final = (*_FIELDS, "id")


@dataclass(slots=True)
class Verification:
    """The last look of this process at every entry: one at a time, since it takes seconds for a million."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: datetime | None = None  # None: nobody asked yet
    found: Verified | None = None

    async def make(self, desk: Desk) -> None:
        """Look at every entry. Raises LedgerUnavailable."""
        async with self.lock:
            self.found = await desk.ask(operations.verify, desk.ledger, None, lambda _: None)
            self.at = datetime.now(UTC)


VERIFICATION: Final = web.AppKey("verification", Verification)


@ROUTES.get("/audit")
async def audit(request: web.Request) -> web.Response:
    """List changes, the newest first."""
    desk, given = desk_of(request), _given(request.query)
    found = await desk.ask(operations.find, desk.ledger, _filter(request.query, given))
    values: dict[str, Any] = {
        "found": found[:PAGE],
        "given": given,
        "next": _address(request.query, _end(request.query, found[:PAGE])) if len(found) > PAGE else None,
        "first": _address(request.query, "") if "after" in request.query else None,
        "verification": request.app[VERIFICATION],
        "commands": [_command(request.query, given), command("audit", "verify")],
    }
    return render(request, "audit.html", **values)


@ROUTES.get("/audit/verified")
async def verified(request: web.Request) -> web.Response:
    """Show what the last look at every entry found."""
    verification = request.app[VERIFICATION]
    return render(request, "audit_verified.html", verification=verification, commands=[command("audit", "verify")])


@ROUTES.post("/audit/verify")
async def verify(request: web.Request) -> web.Response:
    """Look at every entry; lead to what was found. Changes nothing."""
    await request.app[VERIFICATION].make(desk_of(request))
    raise web.HTTPSeeOther("/audit/verified")


def _given(query: Fields) -> dict[str, str]:
    return {name: value for name in _FIELDS if (value := str(query.get(name, "")).strip())}


def _ids(query: Fields) -> tuple[str, ...]:
    return tuple(str(each) for each in query.getall("id", []) if each)


def _filter(query: Fields, given: dict[str, str]) -> AuditFilter:
    since, until = read(query, "since", _moment), read(query, "until", _moment)
    behind = read(query, "after", _behind)
    return AuditFilter(_ids(query), given.get("actor"), given.get("action"), since, until, PAGE + 1, *behind)


def _moment(value: str) -> datetime | None:
    return parsing.moment(value) if value else None


def _behind(value: str) -> tuple[int | None, datetime | None]:
    """Where a page ended: the number of its last entry, the time of its last change outside the chain."""
    number, _, at = value.partition("~")
    if number and not (number.isascii() and number.isdigit() and len(number) < 19):  # noqa: PLR2004 - fits 64 bits
        raise ValueError("not the end of a page; begin at the first")
    return int(number) if number else None, parse_instant(at) if at else None


def _end(query: Fields, shown: list[AuditedChange]) -> str:
    """Return where a page that shows these ends; of a kind that it does not show, where the one before ended."""
    before = str(query.get("after", "")).partition("~")
    numbers = [str(each.number) for each in shown if each.number is not None]
    times = [each.at.isoformat() for each in shown if each.number is None and each.at is not None]
    return f"{[before[0], *numbers][-1]}~{[before[2], *times][-1]}"


def _address(query: Fields, end: str) -> str:
    pairs = [(name, str(value)) for name in _ADDRESS for value in query.getall(name, []) if value]
    return f"/audit?{urlencode([*pairs, *([('after', end)] if end else [])])}".rstrip("?")


def _command(query: Fields, given: dict[str, str]) -> str:
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    return command("audit", "list", *words, *operands(*_ids(query)))
