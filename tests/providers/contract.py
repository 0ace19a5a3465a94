"""What every provider must do, whatever its server answers. A new provider inherits all of it."""

from collections.abc import Mapping
from typing import ClassVar

import aiohttp
import pytest
from aiohttp import web
from calls import PLANTED
from fake_provider import FakeProvider
from network_contract import NetworkContract
from servers import free_port

from tasks.call import Operation
from tasks.outcome import Outcome, Permanent, Reason, Settled, State, Transient


class ProviderContract(NetworkContract):
    """Inherit, and say how to make the provider, what to call, and what its vendor's table says."""

    foreign: ClassVar[Operation]
    statuses: ClassVar[Mapping[int, type[Outcome]]]  # where the vendor's table leaves the common rule

    def expected(self, status: int) -> type[Outcome]:
        """Return the outcome of *status*, as the vendor's table and the common rule have it."""
        if status in self.statuses:
            return self.statuses[status]
        if status < 300:
            return Settled if status in self.successes else Transient
        return Transient if status in {408, 425, 429} or (status >= 500 and status != 501) else Permanent

    async def test_a_success_is_accepted_after_one_request(
        self, server: FakeProvider, session: aiohttp.ClientSession
    ) -> None:
        """What the vendor documents is success: accepted, with its status as evidence."""
        server.will_answer(self.success_status, self.success())
        outcome = await self.outcome(server.url, session)
        assert isinstance(outcome, Settled)
        assert outcome.state is State.ACCEPTED
        assert outcome.evidence.startswith(str(self.success_status))
        assert len([heard for heard in server.heard if heard.method in {"DELETE", "POST"}]) == 1

    async def test_every_status_a_server_can_send_has_its_outcome(
        self, server: FakeProvider, session: aiohttp.ClientSession
    ) -> None:
        """No answer of a provider is left without a meaning, and none gets a better one than the vendor's table."""
        provider = self.make(server.url, session)
        got = {}
        for status in range(200, 600):
            has_body = status < 300 and status not in {204, 205}
            server.will_answer(status, self.success() if has_body else None)
            got[status] = type(await provider.execute(self.call))
        assert got == {status: self.expected(status) for status in range(200, 600)}

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry-After": "7"}, 7.0),
            ({"Retry-After": "1.5"}, 1.5),
            ({"Retry-After": "Sat, 21 Nov 2026 10:00:30 GMT", "Date": "Sat, 21 Nov 2026 10:00:00 GMT"}, 30.0),
            ({"Retry-After": "Sat, 21 Nov 2020 10:00:30 GMT"}, 0.0),
            ({"Retry-After": "1000000000"}, 1e9),
            ({"Retry-After": "-3"}, None),
            ({"Retry-After": "soon"}, None),
            ({"Retry-After": "-3", "inin-ratelimit-reset": "21"}, 21.0),
            ({}, None),
        ],
    )
    async def test_a_rate_limit_says_how_long_to_wait(
        self, server: FakeProvider, session: aiohttp.ClientSession, headers: dict[str, str], seconds: float | None
    ) -> None:
        """429: seconds, decimals and dates are a floor; garbage and negatives are as good as absent."""
        server.will_answer(429, headers=headers)
        outcome = await self.outcome(server.url, session)
        assert isinstance(outcome, Transient)
        assert (outcome.reason, outcome.retry_after) == (Reason.HTTP_429, seconds)

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"null", b"[1]", b'"x"', b"\xff\xfe", b"[" * 30_000, b"<html>Sorry</html>", b'{"code":[]}']
    )
    async def test_an_error_with_a_malformed_body_keeps_the_meaning_of_its_status(
        self, server: FakeProvider, session: aiohttp.ClientSession, body: bytes
    ) -> None:
        """Gateways answer 503 with anything."""
        server.will_answer(503, body)
        outcome = await self.outcome(server.url, session)
        assert isinstance(outcome, Transient)
        assert outcome.reason == Reason.HTTP_5XX

    async def test_what_an_answer_echoes_of_our_secrets_is_not_told(
        self, server: FakeProvider, session: aiohttp.ClientSession
    ) -> None:
        """A provider that writes our credential into its error must not bring it into logs and dead letters."""
        names = ("code", "contextId", "name", "instance", "resCode", "error", "message")

        async def echo(request: web.Request) -> web.StreamResponse:
            text = (request.headers.get("Authorization") or request.headers["X-API-KEY"]).removeprefix("Bearer ")
            return web.json_response(
                dict.fromkeys(names, text), status=422, headers={"ININ-Correlation-Id": f"id:{text}"}
            )

        server.answering = echo
        outcome = await self.outcome(server.url, session)
        assert isinstance(outcome, Permanent)
        assert outcome.detail == {"status": "422"}

    async def test_the_preview_is_the_request_with_its_secrets_masked(
        self, server: FakeProvider, session: aiohttp.ClientSession
    ) -> None:
        """What people see is what goes out, but for the secrets."""
        server.will_answer(503)
        provider = self.make(server.url, session)
        preview = provider.preview(self.call)
        await provider.execute(self.call)
        sent = server.heard[0]
        assert (preview.method, str(preview.url)) == (sent.method, server.url + sent.raw_path)
        shown = {name: value for name, value in preview.headers.items() if "•••" not in value}
        assert shown.items() <= dict(sent.headers).items()
        assert len(shown) == len(preview.headers) - 1
        assert set(preview.headers) | {"Host", "Content-Length"} >= set(sent.headers)
        assert not [secret for secret in PLANTED if secret in f"{dict(preview.headers)}{preview.body!r}"]

    async def test_another_providers_operation_is_a_bug(self, session: aiohttp.ClientSession) -> None:
        """A call that cannot be ours raises; it is no outcome of the provider."""
        stray = self.call.model_copy(update={"operation": self.foreign})
        provider = self.make("http://127.0.0.1:9", session)
        with pytest.raises(ValueError, match="no operation of"):
            await provider.execute(stray)
        with pytest.raises(ValueError, match="no operation of"):
            provider.preview(stray)

    async def test_a_check_revokes_nothing_and_tells_whether_the_provider_is_there(
        self, server: FakeProvider, session: aiohttp.ClientSession
    ) -> None:
        """A held provider is asked again and again: that must be harmless."""
        server.will_answer(404)
        assert isinstance(await self.make(server.url, session).check(), Settled)
        gone = await self.make(f"http://127.0.0.1:{free_port()}", session).check()
        assert isinstance(gone, Transient)
        assert not [heard for heard in server.heard if heard.method not in {"GET", "HEAD"}]
