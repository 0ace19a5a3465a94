"""What every provider must do, whatever the network does to its requests and answers."""

import asyncio
import gzip
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import fake_provider
import pytest
from certificates import self_signed, server_side
from fake_provider import FakeProvider
from servers import free_port
from trial import SHORT, TIMEOUT, ProviderTrial

from tasks.outcome import Permanent, Reason, Settled, Transient

NO_ANSWERS: Mapping[fake_provider.Answering, Reason] = {
    fake_provider.silent: Reason.NET_TIMEOUT,
    fake_provider.slow_headers: Reason.NET_TIMEOUT,
    fake_provider.slow_body: Reason.NET_TIMEOUT,
    fake_provider.closing: Reason.NET_CONNECT,
    fake_provider.resetting: Reason.NET_CONNECT,
    fake_provider.cut_short: Reason.PROVIDER_BAD_REPLY,
    fake_provider.endless_body: Reason.PROVIDER_BAD_REPLY,
    fake_provider.not_http: Reason.PROVIDER_BAD_REPLY,
    fake_provider.header_flood: Reason.PROVIDER_BAD_REPLY,
    fake_provider.long_header: Reason.PROVIDER_BAD_REPLY,
    fake_provider.switching_protocols: Reason.PROVIDER_BAD_REPLY,
}


class NetworkContract(ProviderTrial):
    """One request, one outcome, nothing claimed, nothing given away."""

    @pytest.mark.parametrize("answering", NO_ANSWERS, ids=lambda answering: answering.__name__)
    async def test_no_complete_answer_is_tried_again_later(
        self, server: FakeProvider, session: aiohttp.ClientSession, answering: fake_provider.Answering
    ) -> None:
        """Whatever breaks on the way: one request, no success, within the time budget."""
        server.answering = answering
        timeout = SHORT if NO_ANSWERS[answering] is Reason.NET_TIMEOUT else TIMEOUT
        started = time.monotonic()
        outcome = await self.outcome(server.url, session, timeout)
        assert isinstance(outcome, Transient)
        assert outcome.reason == NO_ANSWERS[answering]
        assert time.monotonic() - started < timeout + 1
        assert len(server.heard) == 1

    async def test_a_dropped_kept_connection_is_not_silently_sent_again(
        self, server: FakeProvider, session: aiohttp.ClientSession
    ) -> None:
        """Repeating is the task's decision: a reused connection that dies is a failed attempt, counted as one."""
        server.will_answer(503)
        provider = self.make(server.url, session)
        await provider.execute(self.call)
        server.answering = fake_provider.closing
        outcome = await provider.execute(self.call)
        assert isinstance(outcome, Transient)
        assert outcome.reason == Reason.NET_CONNECT
        assert len(server.heard) == 2

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_never_followed(
        self, server: FakeProvider, session: aiohttp.ClientSession, status: int
    ) -> None:
        """A login page's 200 is no revocation, and another host gets no credential of ours."""
        other = await FakeProvider(server.answering, server.login).start()
        other.will_answer(200, self.success())
        server.will_answer(status, headers={"Location": f"{other.url}/login"})
        outcome = await self.outcome(server.url, session)
        await other.close()
        assert isinstance(outcome, Permanent)
        assert outcome.reason == Reason.HTTP_3XX
        assert other.heard == []

    async def test_a_certificate_nobody_vouches_for_is_refused(
        self, session: aiohttp.ClientSession, server: FakeProvider, tmp_path: Path
    ) -> None:
        """Nothing is sent to a server that cannot prove who it is."""
        impostor = await FakeProvider(server.answering, server.login).start(server_side(self_signed(tmp_path)))
        outcome = await self.outcome(impostor.url, session)
        await impostor.close()
        assert isinstance(outcome, Transient)
        assert outcome.reason == Reason.NET_TLS
        assert impostor.heard + impostor.logins == []

    async def test_a_name_that_does_not_resolve_is_tried_again_later(self, session: aiohttp.ClientSession) -> None:
        """DNS heals; `.invalid` never resolves (RFC 6761 section 6.4)."""
        outcome = await self.outcome("https://provider.invalid", session, budget=30)
        assert isinstance(outcome, Transient)
        assert outcome.reason == Reason.NET_DNS

    async def test_a_refused_connection_is_tried_again_later(self, session: aiohttp.ClientSession) -> None:
        """Nobody listens: the provider restarts."""
        outcome = await self.outcome(f"http://127.0.0.1:{free_port()}", session)
        assert isinstance(outcome, Transient)
        assert outcome.reason == Reason.NET_CONNECT

    async def test_the_environment_and_cookies_change_nothing(
        self, server: FakeProvider, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy of the environment would see the credentials; a cookie would tie calls together."""
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
        server.will_answer(self.success_status, self.success(), {"Set-Cookie": "session=1"})
        provider = self.make(server.url, session)
        assert [type(await provider.execute(self.call)) for _ in range(2)] == [Settled, Settled]
        assert not [heard for heard in server.heard if "Cookie" in heard.headers]

    async def test_a_compressed_answer_is_unpacked_within_the_cap_only(
        self, server: FakeProvider, session: aiohttp.ClientSession
    ) -> None:
        """Nobody asked for compression, and a bomb of 30 MB stays the few bytes it came as."""
        server.will_answer(422, gzip.compress(b'{"code":"unpacked"}' + b" " * 30_000_000), {"Content-Encoding": "gzip"})
        outcome = await self.outcome(server.url, session)
        assert outcome.detail == {"status": "422"}
        assert server.heard[0].headers["Accept-Encoding"] == "identity"

    async def test_a_cancelled_call_ends_at_once(self, server: FakeProvider, session: aiohttp.ClientSession) -> None:
        """A worker that shuts down is not kept by a provider that hangs; cancelling is no timeout."""
        calling = asyncio.create_task(self.make(server.url, session, timeout=60).execute(self.call))
        async with asyncio.timeout(TIMEOUT):
            await server.asked.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
