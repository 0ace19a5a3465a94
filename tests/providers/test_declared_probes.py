"""A probe that also says what lives: nothing is called dead that was not seen alive, nothing that is alive still."""

from collections import deque
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from calls import CLIENT_SECRET, OPENER
from declared_tables import SESSION_CALL
from fake_provider import FakeProvider, silent

from tasks.outcome import Outcome, Reason, Settled, State, Transient
from tasks.providers.declared import HttpSettings
from tasks.providers.declared.provider import Declared
from tasks.providers.http import open_session

ACTIVE: dict[str, Any] = {"status": 200, "json": {"active": True}}
INACTIVE: dict[str, Any] = {"status": 200, "json": {"active": False}}


def provider(url: str, session: aiohttp.ClientSession, timeout: float = 5.0) -> Declared:
    """Return a client of a server of RFC 7009 and RFC 7662."""
    auth = {"scheme": "client_secret_basic", "client_id": "revoker", "client_secret": CLIENT_SECRET}
    probe = {"request": "POST /introspect", "alive": [ACTIVE], "dead": [INACTIVE]}
    rows = {"outcomes": [{"status": 200, "means": "accepted"}], "examples": [{"status": 200, "means": "accepted"}]}
    call = {"request": "POST /revoke", "credential": "form:token", "default": "dead", "probe": probe, **rows}
    table = {"base_url": url, "auth": auth, "session": call, "timeout": timeout}
    return Declared("acme", HttpSettings.model_validate(table), session, OPENER)


def introspects(server: FakeProvider, *answers: int | bool) -> None:
    """Let *server* say of a token what is told, in order: whether it is active, or a status; it revokes anything."""
    left = deque(answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/revoke":
            return web.Response()
        told = left.popleft()
        return web.json_response({"active": told}) if isinstance(told, bool) else web.Response(status=told)

    server.answering = answer


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ((True, False), Settled(State.CONFIRMED, "200; probe 200", {"status": "200"})),
        ((False, False), Settled(State.ACCEPTED, "200; probe 200", {"status": "200"})),
        ((503, False), Settled(State.ACCEPTED, "200; probe 200", {"status": "200"})),
        ((True, 401), Settled(State.ACCEPTED, "200; probe 401", {"status": "200"})),
        ((True, True), Transient(Reason.PROVIDER_BAD_REPLY, None, {"status": "200", "problem": "still_alive"})),
        ((False, True), Transient(Reason.PROVIDER_BAD_REPLY, None, {"status": "200", "problem": "still_alive"})),
    ],
)
async def test_a_proof_is_of_what_was_alive_before(
    server: FakeProvider, session: aiohttp.ClientSession, told: tuple[int | bool, int | bool], expected: Outcome
) -> None:
    """A server that hides another client's token calls it inactive while it lives."""
    introspects(server, *told)
    assert await provider(server.url, session).execute(SESSION_CALL) == expected
    assert [heard.raw_path for heard in server.heard] == ["/introspect", "/revoke", "/introspect"]


async def test_a_revocation_does_not_wait_for_its_proof(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """Where introspection hangs, the token is revoked all the same, and is not called confirmed."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response() if request.path == "/revoke" else await silent(request)

    server.answering = answer
    outcome = await provider(server.url, session, timeout=0.8).execute(SESSION_CALL)
    assert outcome == Settled(State.ACCEPTED, "200; probe net.timeout", {"status": "200"})


async def test_a_trace_tells_a_proof_from_a_revocation(server: FakeProvider) -> None:
    """With our own credential as with the user's token."""
    told: list[tuple[str, object]] = []

    async def begins(_: object, context: Any, about: aiohttp.TraceRequestStartParams) -> None:
        told.append((about.url.path, context.trace_request_ctx))

    traces = aiohttp.TraceConfig()
    traces.on_request_start.append(begins)
    introspects(server, *(True, False))
    async with open_session(traces=[traces]) as session:
        assert isinstance(await provider(server.url, session).execute(SESSION_CALL), Settled)
    assert told == [("/introspect", "proof"), ("/revoke", "revocation"), ("/introspect", "proof")]
