"""How the twin of a provider answers: as the definition's examples do, and as broken networks and gateways do."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from tasks.providers.declared.calls import Example

TIMEOUT: Final = 0.5  # seconds for one whole call, so that silence is soon over
Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


def example(told: Example) -> Answering:
    """Return what answers as the definition's example *told* does."""

    async def answer(request: web.Request) -> web.StreamResponse:
        del request
        if told.json_ is None:
            return web.Response(status=told.status, headers=told.headers)
        return web.json_response(told.json_, status=told.status, headers=told.headers)

    return answer


def status(code: int, **headers: str) -> Answering:
    """Return what answers with the status *code* and nothing else."""

    async def answer(request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(status=code, headers=headers)

    return answer


def half(code: int) -> Answering:
    """Return what announces an answer of status *code*, and breaks off."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=200 if code == 204 else code, headers={"Content-Length": "1000"})  # noqa: PLR2004 - a 204 has no body
        await response.prepare(request)
        await response.write(b"0123456789")
        return await reset(request)

    return answer


async def silent(request: web.Request) -> web.StreamResponse:
    """Answer too late."""
    del request
    await asyncio.sleep(TIMEOUT * 4)
    return web.Response()


async def reset(request: web.Request) -> web.StreamResponse:
    """Break the connection."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def page(request: web.Request) -> web.StreamResponse:
    """Answer as a gateway that wants a sign-in."""
    del request
    return web.Response(text="<!doctype html><title>Sign in</title>", content_type="text/html")


async def echo(request: web.Request) -> web.StreamResponse:
    """Answer with whatever was sent, secrets included."""
    told = f"{dict(request.headers)} {await request.text()}"
    return web.json_response(dict.fromkeys(("code", "error", "message", "errorCode", "name"), told), status=422)
