"""RFC 8414: the table of RFC 7009 is written from what a server says of itself, if it is the one that was asked."""

import tomllib
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from click.testing import CliRunner
from fake_provider import FakeProvider
from in_one_test import in_one_test

from tasks.providers.http import Edge
from worker.cli import main
from worker.operations import RefusedRequest, catalogue, discovery


def says(server: FakeProvider, document: object, path: str = "/.well-known/oauth-authorization-server") -> None:
    """Let *server* say *document* of itself at *path*."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(document, status=200 if request.path == path else 404)

    server.answering = answer


def document(issuer: str, base: str, **changes: object) -> dict[str, object]:
    """Return what a server says of itself."""
    usual = {"issuer": issuer, "revocation_endpoint": f"{base}/revoke", "introspection_endpoint": f"{base}/introspect"}
    return {name: value for name, value in (usual | changes).items() if value is not None}


async def table(issuer: str, session: aiohttp.ClientSession) -> dict[str, Any]:
    """Return the table that is written for *issuer*."""
    server = await discovery.read(issuer, Edge(session, 5.0))
    text = discovery.written(catalogue.table("rfc7009", "mine"), server)
    read: dict[str, Any] = tomllib.loads(text)["providers"]["mine"]
    return read


async def test_the_endpoints_are_those_that_the_server_names(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """Asked where RFC 8414 puts it; the rest of the table is the catalogue's."""
    issuer = f"{server.url}/tenant"
    says(server, document(issuer, f"{server.url}/oauth/v2"), "/.well-known/oauth-authorization-server/tenant")
    mine = await table(issuer, session)
    assert (mine["base_url"], mine["session"]["request"]) == (server.url, "POST /oauth/v2/revoke")
    assert mine["session"]["probe"]["request"] == "POST /oauth/v2/introspect"
    assert mine["auth"] == {"scheme": "client_secret_basic", "client_id": "<client id>"}
    assert (
        mine["session"]["outcomes"]
        == tomllib.loads(catalogue.table("rfc7009", "m"))["providers"]["m"]["session"]["outcomes"]
    )


async def test_an_openid_provider_says_it_elsewhere(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """OpenID Connect Discovery; a client that signs is for this issuer; without introspection there is no probe."""
    methods = {"revocation_endpoint_auth_methods_supported": ["none", "private_key_jwt"]}
    endpoints = {"revocation_endpoint": f"{server.url}/o/revoke_token/", "introspection_endpoint": None}
    told = document(f"{server.url}/", server.url, **endpoints, **methods)
    says(server, told, "/.well-known/openid-configuration")
    mine = await table(f"{server.url}/", session)
    auth = {"scheme": "private_key_jwt", "client_id": "<client id>", "audience": f"{server.url}/"}
    assert mine["auth"] == auth
    assert mine["session"]["request"] == "POST /o/revoke_token/"
    assert "probe" not in mine["session"]


async def test_a_way_in_is_one_that_both_endpoints_know(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """The same credential revokes and proves; where the server does not say how, it is as at the token endpoint."""
    methods = {
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_post"],
    }
    says(server, document(server.url, server.url, **methods))
    assert (await table(server.url, session))["auth"]["scheme"] == "client_secret_post"


@in_one_test
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"issuer": "https://planted.example"}, "another issuer"),
        ({"issuer": None}, "another issuer"),
        ({"revocation_endpoint": None}, "names no revocation_endpoint"),
        ({"revocation_endpoint": "http://planted.example/revoke"}, "revocation_endpoint of this server"),
        ({"revocation_endpoint": 'https://a.example/x"\nkind = "planted"'}, "revocation_endpoint of this server"),
        ({"revocation_endpoint": "https://a.example/revoke?token=planted"}, "revocation_endpoint of this server"),
        ({"revocation_endpoint": 7}, "revocation_endpoint of this server"),
        ({"introspection_endpoint": "https://a.example/{user_id}"}, "introspection_endpoint of this server"),
        ({"revocation_endpoint_auth_methods_supported": ["tls_client_auth"]}, "none of client_secret_basic"),
    ],
)  # fmt: skip
async def test_what_is_not_fit_is_refused(
    server: FakeProvider, session: aiohttp.ClientSession, changes: dict[str, object], told: str
) -> None:
    """By its name, and without a value that a stranger chose."""
    says(server, document(server.url, server.url) | changes)
    with pytest.raises(RefusedRequest, match=told) as refusal:
        await table(server.url, session)
    assert "planted" not in str(refusal.value)


async def test_a_server_that_says_nothing_is_named(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """Wherever it is looked for: both places are asked; nothing else is, least of all where it redirects to."""
    server.will_answer(302, headers={"Location": "/elsewhere"})
    with pytest.raises(RefusedRequest, match="answered 302"):
        await table(server.url, session)
    asked = [heard.raw_path for heard in server.heard]
    assert asked == ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]
    with pytest.raises(RefusedRequest, match="https://"):
        await table("http://issuer.example", session)


def test_an_issuer_goes_with_the_table_that_has_one() -> None:
    """Other vendors' endpoints are known."""
    got = CliRunner().invoke(main, ["provider", "add", "mine", "--from", "okta", "--issuer", "https://a.example"])
    assert got.exit_code == 2
    assert "--from rfc7009" in got.output
