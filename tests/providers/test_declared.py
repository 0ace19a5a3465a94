"""Kind `http`: whatever a table describes keeps the contract of every provider."""

from typing import ClassVar

import aiohttp
import pytest
from aiohttp import web
from calls import API_KEY, OPENER, REFERENCE, TOKEN, USER_ID, call
from contract import ProviderContract
from declared_tables import SESSION_CALL, USER_CALL, declared, table
from fake_provider import FakeProvider
from trial import TIMEOUT

from tasks.outcome import CredentialFault, Permanent, Reason, Settled, State, Transient
from tasks.providers import kind_of
from tasks.providers.declared import REVOKE_SESSION, HttpSettings
from tasks.providers.declared.provider import Declared


class TestUserWithKey(ProviderContract):
    """A user, by our key in a header; success stands in the body."""

    call = USER_CALL
    foreign = "genesys.delete_token"
    statuses: ClassVar = {401: CredentialFault, 403: CredentialFault}
    successes: ClassVar = frozenset({200})

    def make(self, url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT) -> Declared:
        """Return the provider under test."""
        return declared("acme", url, session, timeout)

    def success(self) -> dict[str, object]:
        """Return what means success: other answers of status 200 do not."""
        return {"ok": True}


class TestSessionByToken(ProviderContract):
    """Genesys Cloud's DeleteTokensMe as a table."""

    call = SESSION_CALL
    foreign = "wibmo.invalidate_token"
    statuses: ClassVar = {401: Transient}
    successes: ClassVar = frozenset({200, 204})

    def make(self, url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT) -> Declared:
        """Return the provider under test."""
        return declared("genesys", url, session, timeout)


class TestUserWithLogin(ProviderContract):
    """Genesys Cloud's DeleteToken as a table."""

    call = USER_CALL
    foreign = "finbourne.invalidate_token"
    statuses: ClassVar = {401: CredentialFault, 403: CredentialFault}
    successes: ClassVar = frozenset({200, 204})

    def make(self, url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT) -> Declared:
        """Return the provider under test."""
        return declared("genesys", url, session, timeout)


class TestFinbourneAsTable(ProviderContract):
    """Finbourne's InvalidateToken as a table."""

    call = SESSION_CALL
    foreign = "genesys.delete_token"
    statuses: ClassVar = {401: Transient, 409: Transient}
    successes: ClassVar = frozenset({204})

    def make(self, url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT) -> Declared:
        """Return the provider under test."""
        return declared("finbourne", url, session, timeout)


async def test_a_success_is_what_the_body_says(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """Slack's way: errors come as 200, too; what lives on is told with each success."""
    provider, got = declared("acme", server.url, session), []
    for body in ({"ok": True}, {"ok": True, "error": "late"}, {"ok": False, "error": "deleted"}, {"ok": 1}, b"<html>"):
        server.will_answer(200, body)
        got.append(await provider.execute(USER_CALL))
    lives = {"status": "200", "partial": "refresh tokens only: access tokens live for an hour"}
    doubted = Transient(Reason.PROVIDER_BAD_REPLY, None, {"status": "200"})
    unknown = Permanent(Reason.PROVIDER_NOT_FOUND, {"status": "200"})
    assert got == [Settled(State.ACCEPTED, "200", lives), doubted, unknown, doubted, doubted]


async def test_the_request_is_as_the_table_says(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """Method, path, body and key; the leaf is filled in, and nothing else."""
    server.will_answer(200, {"ok": True})
    await declared("acme", server.url, session).execute(USER_CALL)
    (heard,) = server.heard
    assert (heard.method, heard.raw_path) == ("POST", f"/v1/users/{USER_ID}/sign-out")
    assert heard.body == b'{"reason": "revoked", "who": {"id": "%s"}}' % USER_ID.encode()
    assert heard.headers["X-API-KEY"] == API_KEY


async def test_a_vendors_own_header_says_how_long_to_wait(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """Milliseconds here; Retry-After counts as well, and the longer of them; garbage does not."""
    provider = declared("acme", server.url, session)
    waits = []
    for headers in ({"X-Reset-Ms": "2500"}, {"X-Reset-Ms": "2500", "Retry-After": "7"}, {"X-Reset-Ms": "soon"}):
        server.will_answer(429, headers=headers)
        outcome = await provider.execute(USER_CALL)
        waits.append(outcome.retry_after if isinstance(outcome, Transient) else outcome)
    assert waits == [2.5, 7.0, None]


def session_table(**changes: object) -> HttpSettings:
    """Return a table that ends a session by its token in a form, as RFC 7009 has it; *changes* are the call's."""
    usual = {"request": "POST /revoke", "credential": "form:token", "form": {"token_type_hint": "access_token"}}
    rows = {"outcomes": [{"status": 200, "means": "accepted"}], "examples": [{"status": 200, "means": "accepted"}]}
    auth = {"scheme": "basic", "username": "revoker", "password": API_KEY}
    call = {**usual, **rows, "default": "dead", **changes}
    return HttpSettings.model_validate({"base_url": "http://127.0.0.1:9", "auth": auth, "session": call})


async def test_a_token_goes_into_the_body_and_into_no_url(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """RFC 7009 with introspection as the proof (RFC 7662): `active` is false afterwards."""
    probe = {"request": "POST /introspect", "dead": [{"status": 200, "json": {"active": False}}]}
    settings = session_table(probe=probe).model_copy(update={"base_url": server.url})
    provider = Declared("acme", settings, session, OPENER)

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"active": False}) if request.path == "/introspect" else web.Response()

    server.answering = answer
    assert await provider.execute(SESSION_CALL) == Settled(State.CONFIRMED, "200; probe 200", {"status": "200"})
    sent = [(heard.raw_path, heard.body) for heard in server.heard]
    body = f"token_type_hint=access_token&token={TOKEN}".encode()
    assert sent == [("/revoke", body), ("/introspect", body)]
    assert kind_of(settings).uses_own_credential(REVOKE_SESSION)
    assert TOKEN not in str(provider.preview(SESSION_CALL).body)


@pytest.mark.parametrize("user_id", ["me", "ME", "..", "x/../me", "%6d%65", "me?x=1", "a#b", "", "4711"])
async def test_no_user_id_becomes_another_endpoint(
    server: FakeProvider, session: aiohttp.ClientSession, user_id: str
) -> None:
    """What the rule does not admit is no call at all."""
    whom = USER_CALL.model_copy(update={"user_id": user_id})
    outcome = await declared("acme", server.url, session).execute(whom)
    assert outcome == Permanent(Reason.ROUTE_UNRESOLVABLE, {"invalid": "user_id"})
    assert server.heard == []
    plan = kind_of(HttpSettings.model_validate(with_secret(table("acme")))).user
    assert plan is not None
    assert not plan.is_user_id(user_id)


def with_secret(settings: dict[str, object]) -> dict[str, object]:
    """Return *settings* with the key that a secret file would hold."""
    assert isinstance(settings["auth"], dict)
    return {**settings, "auth": {**settings["auth"], "api_key": API_KEY}}


async def test_a_reference_is_a_path_segment_by_its_rule(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """A session by its id: no token travels."""
    changes = {"request": "DELETE /sessions/{reference}", "credential": "reference", "reference": "s-[a-z0-9]{4,20}"}
    settings = session_table(form={}, **changes).model_copy(update={"base_url": server.url})
    provider = Declared("acme", settings, session, OPENER)
    server.will_answer(200)
    made = await provider.execute(call(REVOKE_SESSION, "acme", token_reference_id="s-0815"))
    assert isinstance(made, Settled)
    assert server.heard[0].raw_path == "/sessions/s-0815"
    stray = await provider.execute(call(REVOKE_SESSION, "acme", token_reference_id=REFERENCE))
    assert stray == Permanent(Reason.ROUTE_UNRESOLVABLE, {"invalid": "token_reference_id"})
