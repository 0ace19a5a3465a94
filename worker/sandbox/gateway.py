"""The front of all providers: the script may step in, the journal is written, the answer goes out."""

import asyncio
import socket
import struct
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

from aiohttp import BasicAuth, web
from pydantic import SecretStr

from worker.sandbox.config import SandboxConfig
from worker.sandbox.faults import OTHER, Fault, FaultScript
from worker.sandbox.journal import Journal
from worker.sandbox.store import TokenStore

DRIPS: Final = 8
RESETS: Final = frozenset({"reset", "reset_after"})
_RST: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 seconds: close() sends RST instead of FIN


@dataclass(frozen=True, slots=True)
class Reply:
    """What a provider answers, and whether it killed something live."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    revoked: bool = False


_NONE: Final = Reply(500)  # never sent: the connection is reset


class StandIn(ABC):
    """One provider instance as the sandbox plays it, under `/<name>`."""

    instances: ClassVar[tuple[str, ...]]  # the names of those that the sandbox plays

    def __init__(self, name: str, config: SandboxConfig, journal: Journal, faults: FaultScript) -> None:
        self.name, self.config = name, config
        self._journal, self._faults = journal, faults
        self.store = TokenStore(auto_issue=config.auto_issue)

    async def serve(
        self, request: web.Request, operation: str, key: str, act: Callable[[str], Reply]
    ) -> web.StreamResponse:
        """Answer a request for *operation* as a fault decides, else as *act* does, which is given the request's id.

        Deciding and journaling happen at once on arrival; only answering waits.
        """
        request_id = str(uuid.uuid4())
        fault = self._faults.take(self.name, operation, key)
        answer = _decided(fault, self, act, request_id)
        kind = fault.fault if fault else None
        status = None if kind in RESETS else answer.status
        self._journal.add((self.name, operation, key, request_id), status=status, revoked=answer.revoked, fault=kind)
        return await _delivered(request, answer, fault, self.config.latency_seconds)

    async def serve_unknown(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for what the provider does not have."""
        return await self.serve(request, OTHER, "", lambda request_id: self.refusal(404, request_id))

    @staticmethod
    @abstractmethod
    def settings(url: str, config: SandboxConfig) -> dict[str, Any]:
        """Return the provider settings that point a worker at the instance under *url*, but for their `kind`."""

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """Return the instance's routes."""

    @abstractmethod
    def refusal(self, status: int, request_id: str) -> Reply:
        """Return an answer of that status in the vendor's own shape."""

    def malformed(self, *, wrong_key: bool) -> Reply:  # noqa: ARG002 - for those that encrypt
        """Return an answer of status 200 that nobody can read: what should be JSON and is not."""
        return Reply(200, b'{"name": ')

    def change_secret(self, secret: SecretStr) -> None:  # noqa: B027 - few have an OAuth client
        """Take no other client secret from now on."""

    def change_permissions(self, permissions: tuple[str, ...]) -> None:  # noqa: B027 - likewise
        """Let the role of the client have *permissions* and no others from now on."""


def bearer(request: web.Request) -> str:
    """Return the bearer token (RFC 6750), empty where there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def basic(request: web.Request) -> tuple[str, str]:
    """Return name and password (RFC 7617), both empty where there are none."""
    try:
        given = BasicAuth.decode(request.headers.get("Authorization", ""), encoding="utf-8")
    except ValueError:
        return "", ""
    return given.login, given.password


def _decided(fault: Fault | None, stand_in: StandIn, act: Callable[[str], Reply], request_id: str) -> Reply:
    match fault:
        case Fault(fault="status"):
            return _scripted(fault, stand_in, request_id)
        case Fault(fault="reset"):
            return _NONE
        case Fault(fault="malformed" | "wrong_key" as kind):
            return stand_in.malformed(wrong_key=kind == "wrong_key")
        case Fault(fault="slow_body"):
            answer = act(request_id)
            return answer if answer.body else replace(answer, status=200, body=b" " * DRIPS)
        case _:
            return act(request_id)


def _scripted(fault: Fault, stand_in: StandIn, request_id: str) -> Reply:
    named = {"Retry-After": fault.retry_after, "Location": fault.location}
    headers = {name: value for name, value in named.items() if value is not None}
    answer = Reply(fault.status) if fault.status < 300 else stand_in.refusal(fault.status, request_id)  # noqa: PLR2004
    return replace(answer, headers={**answer.headers, **headers})


async def _delivered(request: web.Request, answer: Reply, fault: Fault | None, latency: float) -> web.StreamResponse:
    delay = latency + (fault.seconds if fault and fault.fault == "slow" else 0.0)
    if delay:
        await asyncio.sleep(delay)
    if fault and fault.fault == "slow_body":
        return await _dripped(request, answer, fault.seconds)
    if fault and fault.fault in RESETS:
        _reset(request)
    content_type = answer.content_type if answer.body else None
    return web.Response(status=answer.status, body=answer.body, content_type=content_type, headers=answer.headers)


async def _dripped(request: web.Request, answer: Reply, seconds: float) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_type, response.content_length = answer.content_type, len(answer.body)
    await response.prepare(request)
    size = -(-len(answer.body) // DRIPS)
    for start in range(0, len(answer.body), size):
        await asyncio.sleep(seconds / DRIPS)
        await response.write(answer.body[start : start + size])
    return response


def _reset(request: web.Request) -> None:
    if transport := request.transport:  # else the caller has gone already
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
        transport.abort()
