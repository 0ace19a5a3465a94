"""What a check of Genesys Cloud says of our role: granted, missing, or nothing at all."""

from collections.abc import Mapping

import aiohttp
import pytest
from calls import CLIENT_SECRET
from fake_provider import FakeProvider, closing, granting
from in_one_test import in_one_test
from pydantic import SecretStr
from trial import TIMEOUT

from tasks.outcome import CredentialFault, Outcome, Reason, Settled, State, Transient
from tasks.providers.genesys import GenesysSettings
from tasks.providers.genesys.provider import Genesys
from tasks.sealing import KeyRing

GRANTED = Settled(State.ACCEPTED, "logged in", {"granted": "oauth:token:delete"})
MISSING = CredentialFault(Reason.AUTH_FORBIDDEN, {"missing": "oauth:token:delete"})
NOT_TOLD = Settled(State.ACCEPTED, "logged in")
VIEW = {"domain": "directory", "entityName": "organization", "actions": ["view"], "condition": None}


def policy(*actions: str, domain: str = "oauth", entity: str = "token", **more: object) -> Mapping[str, object]:
    """A policy of a role, as the vendor's AuthzGrantPolicy has it."""
    return {"domain": domain, "entityName": entity, "actions": list(actions), **more}


def subject(*roles: object) -> Mapping[str, object]:
    """An AuthzSubject with a grant for each of *roles*, which are lists of policies."""
    grants = [{"subjectId": "c", "division": {"id": "*"}, "role": {"id": "r", "policies": role}} for role in roles]
    return {"id": "c", "name": "revoker", "grants": grants, "version": 3}


def genesys(server: FakeProvider, session: aiohttp.ClientSession) -> Genesys:
    """The provider, configured for *server*, which grants every login."""
    server.login = granting
    settings = GenesysSettings(
        api_base_url=server.url,
        login_base_url=server.url,
        client_id="c",
        client_secret=SecretStr(CLIENT_SECRET),
        timeout=TIMEOUT,
    )
    return Genesys("genesys", settings, session, KeyRing([]))


@in_one_test
@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        pytest.param(subject([VIEW], [VIEW, policy("add", "delete")]), GRANTED, id="in one of two roles"),
        pytest.param(subject([policy("*", domain="OAuth", entity="*")]), GRANTED, id="by wildcards"),
        pytest.param(subject([VIEW, policy("add"), policy("delete", entity="client")]), MISSING, id="others only"),
        pytest.param(subject([policy("delete", condition="home division")]), NOT_TOLD, id="with a condition"),
        pytest.param(subject([VIEW], None), NOT_TOLD, id="a role without its policies"),
        pytest.param(subject([VIEW], []), NOT_TOLD, id="a role whose policies are left out"),
        pytest.param(subject(), NOT_TOLD, id="no role at all"),
        pytest.param({"grants": "none"}, NOT_TOLD, id="another form"),
        pytest.param({"message": "no user", "code": "bad.request"}, NOT_TOLD, id="an error document"),
        pytest.param(b"<html>sign in</html>", NOT_TOLD, id="a page"),
        pytest.param(b" " * 70_000, NOT_TOLD, id="more than is read"),
    ],
)
async def test_a_check_says_of_the_permission_what_is_told(
    server: FakeProvider, session: aiohttp.ClientSession, told: object, outcome: Outcome
) -> None:
    """Missing only where every role is told whole and none has it; a doubt is no answer."""
    server.will_answer(200, told)
    assert await genesys(server, session).check() == outcome


@in_one_test
@pytest.mark.parametrize("status", [204, 302, 400, 401, 403, 404, 429, 500])
async def test_a_refused_question_is_no_refused_credential(
    server: FakeProvider, session: aiohttp.ClientSession, status: int
) -> None:
    """The vendor documents it for users: that a client is not answered says nothing of its role."""
    server.will_answer(status, {"code": "bad.request", "status": status} if status != 204 else None)
    assert await genesys(server, session).check() == NOT_TOLD


async def test_the_check_only_reads(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """One GET of who we are, after the login; nothing is revoked."""
    server.will_answer(200, subject([policy("delete")]))
    await genesys(server, session).check()
    [heard] = server.heard
    assert (heard.method, heard.raw_path) == ("GET", "/api/v2/authorization/subjects/me")


async def test_an_api_that_does_not_answer_fails_the_check(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """The login service alone revokes nothing."""
    server.answering = closing
    outcome = await genesys(server, session).check()
    assert isinstance(outcome, Transient)
    assert outcome.reason == Reason.NET_CONNECT
