"""Streams of a transmitter of shared signals, managed by their receiver (Shared Signals Framework 1.0, section 8.1)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr
from yarl import URL

from tasks.doors.access import Access, authorization
from tasks.doors.pull import PullFailed
from tasks.doors.security_event_tokens import Settings
from tasks.doors.security_events import ASKED_FOR
from tasks.doors.swept import endpoint_fault
from tasks.outcome import Reason
from tasks.providers.http import Edge
from tasks.providers.provider import Request
from tasks.strict_json import MalformedJsonError, decode

METHODS: Final[Mapping[str, str]] = {"push": "urn:ietf:rfc:8935", "poll": "urn:ietf:rfc:8936"}
WELL_KNOWN: Final = "/.well-known/ssf-configuration"
Status = Literal["enabled", "paused", "disabled"]


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream, as its transmitter tells of it."""

    stream_id: str
    audience: tuple[str, ...]
    method: str  # push, poll, or whatever else it calls it
    endpoint: str | None  # where it pushes to, or where it is polled
    events: tuple[str, ...]  # that it delivers
    status: str | None = None  # None: it was not asked


class Streams:
    """Those of the transmitter of one door. Everything that it asks raises PullFailed where it gets no answer."""

    def __init__(self, settings: Settings, edge: Edge) -> None:
        self._settings, self._access = settings, Access(settings, edge)
        self._described: Mapping[str, Any] | None = None

    async def listed(self) -> list[Stream]:
        """Return our streams, each with its status."""
        found = await self._ask("GET", "configuration_endpoint")
        documents = found if isinstance(found, list) else [found]
        return [await self._with_status(_stream(each)) for each in documents]

    async def one(self, stream_id: str) -> Stream:
        """Return one of them."""
        found = await self._ask("GET", "configuration_endpoint", query={"stream_id": stream_id})
        return await self._with_status(_stream(found))

    async def create(self, push_to: str | None, secret: SecretStr | None, description: str) -> Stream:
        """Return a new one, pushed to the URL *push_to* with *secret* as bearer token, or to be polled."""
        delivery: dict[str, str] = {"method": METHODS["push" if push_to else "poll"]}
        if push_to:
            delivery |= {"endpoint_url": push_to}
        if push_to and secret:
            delivery |= {"authorization_header": f"Bearer {secret.get_secret_value()}"}
        wanted = {"delivery": delivery, "events_requested": [*ASKED_FOR], "description": description}
        return _stream(await self._ask("POST", "configuration_endpoint", wanted))

    async def verify(self, stream_id: str, state: str) -> None:
        """Have it send a verification event with *state*."""
        await self._ask("POST", "verification_endpoint", {"stream_id": stream_id, "state": state})

    async def set_status(self, stream_id: str, status: Status, reason: str) -> str:
        """Have it deliver, keep or drop events; return the status that it tells then."""
        wanted = {"stream_id": stream_id, "status": status, "reason": reason}
        found = await self._ask("POST", "status_endpoint", wanted)
        return _text(found, "status") or status

    async def delete(self, stream_id: str) -> None:
        """Have it forget the stream."""
        await self._ask("DELETE", "configuration_endpoint", query={"stream_id": stream_id})

    async def _with_status(self, stream: Stream) -> Stream:
        told = await self._ask("GET", "status_endpoint", query={"stream_id": stream.stream_id})
        return replace(stream, status=_text(told, "status"))

    async def _ask(
        self, method: str, endpoint: str, document: object = None, query: Mapping[str, str] | None = None
    ) -> Any:  # noqa: ANN401 - a JSON document
        url = URL(await self._endpoint(endpoint), encoded=True).update_query(query or {})
        body = None if document is None else json.dumps(document).encode()
        headers = {"Accept": "application/json", **({"Content-Type": "application/json"} if body else {})}

        def build(bearer: SecretStr | None) -> Request:
            return Request(method, url, {**headers, **authorization(bearer)}, body, (bearer,) if bearer else ())

        answer = await self._access.send(build)
        return _document(answer.body)

    async def _endpoint(self, name: str) -> str:
        """Return where the transmitter says that this is asked. What it says of another issuer is not believed."""
        if self._described is None:
            url = URL(self._settings.transmitter_url or well_known(self._settings.issuer), encoded=True)
            answer = await self._access.send(lambda _: Request("GET", url, {"Accept": "application/json"}))
            self._described = described = _document(answer.body)
            if not isinstance(described, dict) or described.get("issuer") != self._settings.issuer:
                raise PullFailed("transmitter.of_another_issuer")
        found = self._described.get(name)
        if not isinstance(found, str) or endpoint_fault(found):
            raise PullFailed(f"transmitter.no_{name}")
        return found


def well_known(issuer: str) -> str:
    """Return where the transmitter *issuer* describes itself (SSF 1.0, section 7.2)."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"


def _document(body: bytes) -> Any:  # noqa: ANN401 - a JSON document
    try:
        return decode(body) if body.strip() else {}
    except MalformedJsonError:
        raise PullFailed(Reason.PROVIDER_BAD_REPLY) from None


def _stream(document: object) -> Stream:
    stream_id = _text(document, "stream_id")
    if not isinstance(document, dict) or stream_id is None:
        raise PullFailed(Reason.PROVIDER_BAD_REPLY)
    delivery, audience = document.get("delivery"), document.get("aud")
    method = _text(delivery, "method") or ""
    names = {urn: name for name, urn in METHODS.items()}
    events = document.get("events_delivered")
    return Stream(
        stream_id,
        tuple(map(str, audience)) if isinstance(audience, list) else (str(audience),) if audience else (),
        names.get(method, method),
        _text(delivery, "endpoint_url"),
        tuple(map(str, events)) if isinstance(events, list) else (),
    )


def _text(document: object, name: str) -> str | None:
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, str) and value else None
