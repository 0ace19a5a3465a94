"""Signing in at an OpenID provider: nothing that it, or a stranger, says otherwise than it should lets anybody in."""

import time
from collections.abc import AsyncIterator
from typing import Any

import openid_provider
import pytest
from in_one_test import in_one_test
from joserfc.jwk import RSAKey
from openid_provider import CLIENT, ROLES, SECRET, OpenIdProvider
from servers import free_port
from sign_in_door import Door, Reply, Visitor
from test_console_sessions import recorded

from worker.ledger.console_sessions import ConsoleSession

pytest_plugins = ["sign_in_fixtures"]


@pytest.fixture
async def provider() -> AsyncIterator[OpenIdProvider]:
    """A provider that does as it should until it is told otherwise."""
    async with openid_provider.serving() as opened:
        yield opened


async def opened(door: Door, provider: OpenIdProvider, **changed: Any) -> Door:
    """The console, whose people sign in at *provider*."""
    port = free_port()
    oidc = {"issuer": provider.issuer, "client_id": CLIENT, "client_secret": SECRET, "roles": ROLES} | changed
    return await door.open(port=port, public_url=f"http://127.0.0.1:{port}", oidc=oidc)


@pytest.fixture
async def shared_door(door: Door, provider: OpenIdProvider) -> Door:
    """One console for many cases: each starts it anew, and nobody is signed in."""
    return await opened(door, provider)


async def anew(door: Door) -> None:
    """Begin a case."""
    await door.again()
    ledger = door.installation.desk.ledger
    ledger.end_console_sessions([each.digest for each in ledger.console_sessions()])


async def there(visitor: Visitor, path: str = "/") -> str:
    """Go to the provider, as the door says; return the way back."""
    begun = await visitor.get(f"/sign-in/oidc?next={path}")
    assert begun.status == 303
    return (await visitor.get(begun.place)).place


async def back(door: Door) -> tuple[Visitor, Reply]:
    """Somebody who went there and came back."""
    visitor = await door.visitor()
    return visitor, await visitor.get(await there(visitor))


def sessions(door: Door) -> list[ConsoleSession]:
    """Who is signed in."""
    return door.installation.desk.ledger.console_sessions()


async def test_somebody_signs_in_there_and_comes_back_where_they_wanted_to_go(
    door: Door, provider: OpenIdProvider
) -> None:
    """Code flow with PKCE, state and nonce; our secret goes to the provider alone; the role is of the claim."""
    visitor = await (await opened(door, provider)).visitor()
    assert "/sign-in/oidc?next=%2Fletters" in (await visitor.get("/sign-in?next=/letters")).text
    reply = await visitor.get(await there(visitor, "/letters"))
    assert (reply.status, reply.place) == (303, "/letters")
    assert provider.asked["code_challenge_method"] == "S256"
    assert len({provider.asked[name] for name in ("state", "nonce", "code_challenge")}) == 3
    [form] = provider.forms
    assert form["redirect_uri"] == provider.asked["redirect_uri"] == f"{door.url}/sign-in/callback"
    assert "client_secret" not in form
    assert form["code_verifier"] not in str(provider.asked)
    assert await visitor.is_in
    [session] = sessions(door)
    assert (session.name, session.role, session.means) == ("olga@example.com", "operator", "oidc")


Wrong = dict[str, Any]


@in_one_test
@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("header", {"alg": "none"}),
        ("header", {"alg": "HS256"}),
        ("header", {"kid": "unknown"}),
        ("header", {"crit": ["exp"]}),
        ("changed", {"nonce": "of-another-sign-in"}),
        ("changed", {"nonce": None}),
        ("changed", {"iss": "https://another.example"}),
        ("changed", {"iss": None}),
        ("changed", {"aud": "another-client"}),
        ("changed", {"aud": None}),
        ("changed", {"aud": [CLIENT, "another-client"]}),
        ("changed", {"azp": "another-client"}),
        ("changed", {"exp": time.time() - 3600}),
        ("changed", {"exp": None}),
        ("changed", {"exp": "tomorrow"}),
        ("changed", {"iat": time.time() + 3600}),
        ("changed", {"nbf": time.time() + 3600}),
        ("changed", {"sub": ""}),
        ("changed", {"sub": "x" * 256}),
        ("changed", {"sub": ["olga"]}),
        ("changed", {"groups": ["nobody-knows-this-role"]}),
        ("changed", {"groups": {"desk-operators": True}}),
        ("changed", {"groups": None}),
        ("answer", {"state": "of-another-sign-in"}),
        ("answer", {"state": None}),
        ("answer", {"iss": "https://another.example"}),
        ("answer", {"iss": None}),
        ("answer", {"code": None}),
        ("answer", {"error": "access_denied"}),
        ("body", {"/token": "<html>", "/userinfo": "{}"}),
        ("body", {"/token": '{"access_token": "access-1"}'}),
        ("body", {"/token": '{"id_token": "a.b.c"}'}),
        ("body", {"/token": '{"id_token": ' + "[" * 500 + "]" * 500 + "}"}),
        ("body", {"/token": '{"id_token": "' + "x" * 70_000 + '"}'}),
        ("body", {"/keys": '{"keys": []}'}),
        ("body", {"/keys": '{"keys": [{"kty": "oct", "k": "AA"}, 1, {}]}'}),
        ("body", {"/.well-known/openid-configuration": "{}"}),
        ("metadata", {"issuer": "https://another.example"}),
        ("metadata", {"token_endpoint": "http://evil.example/token"}),
        ("metadata", {"jwks_uri": "file:///etc/passwd"}),
        ("metadata", {"authorization_endpoint": None}),
    ],
    ids=str,
)
async def test_what_is_wrong_lets_nobody_in(
    what: str, wrong: Wrong, provider: OpenIdProvider, shared_door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    """The page says to begin again, the log why, and neither shows what was sent."""
    await anew(shared_door)
    try:
        setattr(provider, what, wrong)
        visitor = await shared_door.visitor()
        begun = await visitor.get("/sign-in/oidc")
        reply = begun if begun.status != 303 else await visitor.get((await visitor.get(begun.place)).place)
        assert reply.status == 403
        assert reply.fault
        assert not await visitor.is_in
        assert sessions(shared_door) == []
        told = [each for each in caplog.records if each.message == "console.sign_in_refused"]
        assert told
        assert SECRET not in f"{reply.text}{[each.__dict__ for each in told]}"
    finally:
        setattr(provider, what, {})
        caplog.clear()


async def test_an_answer_is_of_use_once_and_in_the_browser_that_asked(door: Door, provider: OpenIdProvider) -> None:
    """Replayed, or put into another one's browser, it lets nobody in: nobody works in a stranger's session."""
    await opened(door, provider)
    victim, thief = await door.visitor(), await door.visitor()
    answer = await there(thief)
    assert (await victim.get(answer)).status == 403
    cookies = {each.key: each.value for each in thief.session.cookie_jar}
    assert (await thief.get(answer)).status == 303
    assert (await thief.get(answer)).status == 403
    kept = "; ".join(f"{name}={value}" for name, value in cookies.items())
    assert (await victim.get(answer, Cookie=kept)).status == 403
    assert (await victim.get(f"{answer}&state=x")).status == 403
    assert len(provider.forms) == 1


async def test_an_answer_survives_a_restart_of_the_console(door: Door, provider: OpenIdProvider) -> None:
    """What is needed is in the browser; which process takes it does not matter."""
    await opened(door, provider)
    visitor = await door.visitor()
    answer = await there(visitor)
    await door.again()
    assert (await visitor.get(answer)).status == 303


async def test_a_key_that_is_new_is_looked_for_and_a_forged_one_not_without_end(
    door: Door, provider: OpenIdProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rotation needs no restart; strangers' key ids cause one look in 30 seconds."""
    await opened(door, provider)
    assert (await back(door))[1].status == 303
    provider.key = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})
    assert (await back(door))[1].status == 403  # the last look was just now
    monkeypatch.setattr("worker.console.sign_in.idp.KEYS_INTERVAL", 0.0)
    assert (await back(door))[1].status == 303
    monkeypatch.setattr("worker.console.sign_in.idp.KEYS_INTERVAL", 30.0)
    looks = provider.looks.count("/keys")
    for number in range(5):
        visitor = await door.visitor()
        forged = provider.logout_token()
        provider.header = {"kid": f"forged-{number}"}
        forged = provider.logout_token()
        assert (await visitor.post("/sign-in/ended", {"logout_token": forged})).status == 400
    assert provider.looks.count("/keys") == looks


async def test_claims_may_come_from_another_place_and_of_nobody_else(door: Door, provider: OpenIdProvider) -> None:
    """A provider that keeps its ID token thin is asked; an answer about somebody else is none."""
    provider.changed = {"groups": None, "email": None}
    provider.metadata = {"userinfo_endpoint": f"{provider.issuer}/userinfo"}
    provider.userinfo = {"sub": "sub-of-olga", "groups": "staff", "email": "olga@example.com"}
    await opened(door, provider)
    assert (await back(door))[1].status == 303
    [session] = sessions(door)
    assert (session.name, session.role) == ("olga@example.com", "viewer")
    provider.userinfo = {"sub": "sub-of-another", "groups": "desk-operators"}
    assert (await back(door))[1].status == 403


@in_one_test
@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"email_verified": False}, "sub-of-olga"),
        ({"email": "\u202eagro@example.com"}, "sub-of-olga"),
        ({"email": "x" * 129}, "sub-of-olga"),
        ({"email": " "}, "sub-of-olga"),
        ({"email": ["olga"]}, "sub-of-olga"),
        ({}, "olga@example.com"),
    ],
)
async def test_nobody_is_called_by_a_name_that_is_not_theirs_or_looks_otherwise(
    claims: Wrong, name: str, provider: OpenIdProvider, shared_door: Door
) -> None:
    """The audit has it; `sub` is the provider's own word."""
    await anew(shared_door)
    provider.changed = claims
    assert (await back(shared_door))[1].status == 303
    assert sessions(shared_door)[0].name == name


async def test_an_address_gives_a_role_only_where_the_provider_vouches_for_it(
    door: Door, provider: OpenIdProvider
) -> None:
    """Else whoever may write their own address chooses their role."""
    await opened(door, provider, role_claim="email", roles={"olga@example.com": "operator"})
    assert (await back(door))[1].status == 303
    for doubtful in (False, None, "true"):
        provider.changed = {"email_verified": doubtful}
        assert (await back(door))[1].status == 403


async def test_who_is_out_there_is_out_here(door: Door, provider: OpenIdProvider) -> None:
    """Back-channel logout ends the session of that browser, or all of that person; and so does user.disabled."""
    await opened(door, provider)
    first, _ = await back(door)
    provider.changed = {"sid": "another-session-there"}
    second, _ = await back(door)
    anybody = await door.visitor()
    told = {"logout_token": provider.logout_token(sid="session-there")}
    assert (await anybody.post("/sign-in/ended", told, Sec_Fetch_Site="")).status == 200
    assert [await each.is_in for each in (first, second)] == [False, True]
    assert (await anybody.post("/sign-in/ended", {"logout_token": provider.logout_token()})).status == 200
    assert not await second.is_in
    third, _ = await back(door)
    recorded(door.installation, "user.disabled", "sub-of-olga")
    assert not await third.is_in


@in_one_test
@pytest.mark.parametrize(
    "changed",
    [
        {"nonce": "n"},
        {"events": None},
        {"events": {"http://schemas.openid.net/event/another": {}}},
        {"events": []},
        {"sub": None},
        {"sub": None, "sid": ["x"]},
        {"jti": None},
        {"iat": time.time() - 3600},
        {"iss": "https://another.example"},
        {"aud": "another-client"},
    ],
    ids=str,
)
async def test_what_is_no_logout_token_ends_nothing(
    changed: Wrong, provider: OpenIdProvider, shared_door: Door
) -> None:
    """An ID token is none, nor is a token of another issuer or for another client, or an old one."""
    await anew(shared_door)
    visitor, _ = await back(shared_door)
    reply = await visitor.post("/sign-in/ended", {"logout_token": provider.logout_token(**changed)})
    assert reply.status == 400
    assert await visitor.is_in
