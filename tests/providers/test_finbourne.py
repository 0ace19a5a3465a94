"""Finbourne (LUSID) identity: one session by its own token."""

from typing import ClassVar

import aiohttp
from calls import OPENER, TOKEN, sealed_call
from contract import ProviderContract
from fake_provider import FakeProvider
from trial import TIMEOUT

from tasks.outcome import Permanent, Reason, Settled, State, Transient
from tasks.providers import KINDS
from tasks.providers.finbourne import FinbourneSettings
from tasks.providers.finbourne.provider import Finbourne

INVALIDATE = sealed_call("finbourne.invalidate_token", "finbourne")


def finbourne(url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT) -> Finbourne:
    """Return the provider, configured for a server at *url*."""
    settings = FinbourneSettings(base_url=f"{url}/identity", application="revoker", timeout=timeout)
    return Finbourne("finbourne", settings, session, OPENER)


class TestFinbourne(ProviderContract):
    """The user's own token."""

    call = INVALIDATE
    foreign = "genesys.delete_token"
    statuses: ClassVar = {401: Transient, 409: Transient}  # 401 without a word of the token
    successes: ClassVar = frozenset({204})

    def make(self, url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT) -> Finbourne:
        """Return the provider under test."""
        return finbourne(url, session, timeout)


async def test_the_request_is_the_vendors(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """DELETE with the user's bearer, no body."""
    server.will_answer(204)
    assert (await finbourne(server.url, session).execute(INVALIDATE)) == Settled(
        State.ACCEPTED, "204", {"status": "204"}
    )
    (heard,) = server.heard
    assert (heard.method, heard.raw_path, heard.body) == ("DELETE", "/identity/api/tokens", b"")
    assert heard.headers["Authorization"] == f"Bearer {TOKEN}"
    assert heard.headers["Accept"] == "application/json"
    assert heard.headers["X-LUSID-Application"] == "revoker"


async def test_problem_details_that_help_are_told(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """LusidProblemDetails: name, code and instance, whose end is what finds the log; no free text."""
    instance = "https://a-rather-long-name.lusid.com/app/insights/logs/0HLFDBBO4JAL7:00000001"
    body = {"name": "Forbidden", "code": 217, "instance": instance, "detail": "free text", "type": "x"}
    server.will_answer(403, body)
    detail = {"status": "403", "name": "Forbidden", "code": "217", "instance": instance}
    assert await finbourne(server.url, session).execute(INVALIDATE) == Permanent(Reason.AUTH_FORBIDDEN, detail)


async def test_a_check_says_that_a_broken_server_is_not_there(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """There is no credential of ours to check: reachable is all that can be known."""
    server.will_answer(503, headers={"Retry-After": "9"})
    outcome = await finbourne(server.url, session).check()
    assert outcome == Transient(Reason.HTTP_5XX, 9.0, {"status": "503"})


def test_a_user_cannot_be_revoked_by_id() -> None:
    """There is no such call: `user.disabled` needs the listed sessions."""
    kind = KINDS["finbourne"]
    assert kind.user is None
    assert not kind.uses_own_credential("finbourne.invalidate_token")
