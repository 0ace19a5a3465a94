"""What an authorization server says of itself (RFC 8414), written into the catalogue's table of RFC 7009.

It is believed only where it names itself as it was asked for, and only what can stand in a table is taken from it.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError
from yarl import URL

from tasks.outcome import Transient
from tasks.providers.declared.templates import RequestLine
from tasks.providers.http import Edge, open_session
from tasks.providers.kind import BaseUrl
from tasks.providers.provider import Request
from worker.operations import RefusedRequest, catalogue

TABLE: Final = "rfc7009"
METHODS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt")  # that we know, the plainest first
TIMEOUT: Final = 10.0  # seconds for one request
_OK: Final = 200
_BASE_URL: Final = TypeAdapter[str](BaseUrl)
_REQUEST_LINE: Final = TypeAdapter[str](RequestLine)


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself: where tokens are revoked and introspected, and how a client shows itself there."""

    issuer: str
    base_url: str
    revocation: str  # path
    introspection: str | None  # path, below the same base URL
    methods: tuple[str, ...]

    @classmethod
    def of(cls, issuer: str, document: Mapping[str, Any]) -> Self:
        """Read *document*. Raises RefusedRequest where it is another issuer's, or nothing to work with."""
        if document.get("issuer") != issuer:
            raise RefusedRequest(
                "this server calls itself by another issuer: write --issuer as it does, to the last slash"
            )
        base_url, revocation = _taken_apart(document, "revocation_endpoint")
        methods = _methods(document, "revocation", _methods(document, "token", ("client_secret_basic",)))
        introspection = None
        if "introspection_endpoint" in document:
            origin, path = _taken_apart(document, "introspection_endpoint")
            introspection = path if origin == base_url else None
            also = _methods(document, "introspection", methods)
            methods = tuple(each for each in methods if each in also)
        if not methods:
            raise RefusedRequest(f"this server knows a client by none of {', '.join(METHODS)}")
        return cls(issuer, base_url, revocation, introspection, methods)


def table(instance: str, issuer: str) -> tuple[str, Server]:
    """Return the table of the server *issuer* as provider *instance*, and that server. Raises RefusedRequest."""
    server = asyncio.run(_asked(issuer))
    return written(catalogue.table(TABLE, instance), server), server


def written(text: str, server: Server) -> str:
    """Return the table *text* with what *server* says of itself."""
    return "".join(_lines(text, server))


def _lines(text: str, server: Server) -> Iterator[str]:
    method = server.methods[0]
    audience = f', audience = "{server.issuer}"' if method == "private_key_jwt" else ""
    secret = "private_key" if audience else "client_secret"
    for line in text.splitlines(keepends=True):
        if line.startswith("base_url"):
            yield f'base_url = "{server.base_url}"\n'
        elif line.startswith("auth = "):
            yield f'auth = {{scheme = "{method}", client_id = "<client id>"{audience}}}\n'
        elif line.startswith("request = "):
            yield f'request = "POST {server.revocation}"\n'
        elif not line.startswith("probe = "):
            yield line.replace("auth__client_secret", f"auth__{secret}")
        elif server.introspection:
            yield line.replace("/token/introspection", server.introspection)


async def _asked(issuer: str) -> Server:
    async with open_session() as session:
        return await read(issuer, Edge(session, TIMEOUT))


async def read(issuer: str, edge: Edge) -> Server:
    """Return what the server *issuer* says of itself. Raises RefusedRequest."""
    status = 0
    for url in _places(issuer):
        answer = await edge.send(Request("GET", url, {"Accept": "application/json"}), edge.deadline(), "login")
        if isinstance(answer, Transient):
            raise RefusedRequest(f"{url.host} cannot be asked what it says of itself: {answer.reason}")
        if answer.status == _OK and (document := answer.document()):
            return Server.of(issuer, document)
        status = answer.status
    raise RefusedRequest(f"this issuer does not say where tokens are revoked: the last place asked answered {status}")


def _places(issuer: str) -> tuple[URL, ...]:
    """Where RFC 8414 section 3.1 puts it, and where OpenID Connect Discovery 1.0 section 4 does."""
    try:
        plain = _BASE_URL.validate_python(issuer)
    except ValidationError:
        raise RefusedRequest("--issuer must be a plain https:// URL (http:// is for loopback hosts only)") from None
    parts = urlsplit(plain)
    origin = f"{parts.scheme}://{parts.netloc}"
    places = (
        f"{origin}/.well-known/oauth-authorization-server{parts.path}",
        f"{plain}/.well-known/openid-configuration",
    )
    return tuple(URL(each, encoded=True) for each in places)


def _taken_apart(document: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Return the origin and the path of the endpoint *name*, both fit for a table."""
    told = document.get(name)
    if told is None:
        raise RefusedRequest(f"this server names no {name}: it revokes no tokens by RFC 7009")
    try:
        parts = urlsplit(_BASE_URL.validate_python(told))
        _REQUEST_LINE.validate_python(f"POST {parts.path}")
    except ValidationError:
        parts = urlsplit("")
    ending = "/" if str(told).endswith("/") else ""
    if f"{parts.geturl()}{ending}" != told:
        raise RefusedRequest(f"the {name} of this server is no plain https:// URL with a path that a table can hold")
    return f"{parts.scheme}://{parts.netloc}", f"{parts.path}{ending}"


def _methods(document: Mapping[str, Any], endpoint: str, usual: tuple[str, ...]) -> tuple[str, ...]:
    told = document.get(f"{endpoint}_endpoint_auth_methods_supported")
    return tuple(each for each in METHODS if each in (told if isinstance(told, list) else usual))
