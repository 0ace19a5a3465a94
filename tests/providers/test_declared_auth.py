"""How the worker shows itself to a declared provider: each scheme, as the wire has it."""

import base64
import re
import tomllib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from calls import API_KEY, CLIENT_SECRET, OPENER, TOKEN, WORKER_BEARER
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from declared_tables import SESSION_CALL, USER_CALL
from fake_provider import FakeProvider
from in_one_test import in_one_test
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from pydantic import ValidationError

from tasks.doors import Arrival
from tasks.doors.global_token_revocation import KIND, GlobalTokenRevocation, Settings
from tasks.outcome import CredentialFault, Settled, State
from tasks.providers.declared import HttpSettings
from tasks.providers.declared.provider import Declared
from worker.operations import catalogue

ISSUER = "https://issuer.example"
OK = {"status": 200, "means": "accepted"}
CALLS: dict[str, dict[str, Any]] = {
    "session": {"request": "POST /revoke", "credential": "form:token", "form": {"token_type_hint": "access_token"}},
    "user": {"request": "POST /users/{user_id}/end", "user_id": "uuid"},
}


@cache
def key(kind: str) -> RSAKey | ECKey:
    """Return one private key for all tests."""
    return RSAKey.generate_key(2048) if kind == "RSA" else ECKey.generate_key(kind)


def pem(kind: str = "P-256") -> str:
    """Return it as a secret file holds it."""
    return key(kind).as_pem(private=True).decode()


def settings(url: str, auth: dict[str, Any], place: str = "session", **changes: Any) -> HttpSettings:
    """Return a table whose call bears *auth*; *changes* are the call's."""
    if auth.get("token_url") == "":
        auth = auth | {"token_url": f"{url}/oauth/token"}
    rows = {"outcomes": [OK], "examples": [OK], "default": "dead"}
    return HttpSettings.model_validate({"base_url": url, "auth": auth, place: {**CALLS[place], **rows, **changes}})


def form_of(body: bytes) -> dict[str, str]:
    """Return the members of a form."""
    return {name: value for name, [value] in parse_qs(body.decode(), strict_parsing=True).items()}


def read(token: str, kind: str = "P-256") -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of *token*, whose signature holds; times and id apart, which are as they must be."""
    got = jwt.decode(token, key(kind), ["RS256", "ES256", "ES384"])
    claims = dict(got.claims)
    assert claims.pop("exp") - claims.pop("iat") == 300
    assert len(claims.pop("jti")) > 16
    return dict(got.header), claims


async def test_a_client_shows_its_secret_in_the_call(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """As RFC 7009 has it, in the header, coded as a form is (RFC 6749 section 2.3.1), or beside the token."""
    server.will_answer(200)
    for scheme in ("client_secret_basic", "client_secret_post"):
        auth = {"scheme": scheme, "client_id": "https://revoker", "client_secret": f"a+b/{CLIENT_SECRET}"}
        provider = Declared("acme", settings(server.url, auth), session, OPENER)
        assert isinstance(await provider.execute(SESSION_CALL), Settled)
        assert CLIENT_SECRET not in f"{provider.preview(SESSION_CALL)}{provider.preview(SESSION_CALL).body!r}"
    by_header, by_form = server.heard
    pair = base64.b64encode(f"https%3A%2F%2Frevoker:a%2Bb%2F{CLIENT_SECRET}".encode()).decode()
    assert by_header.headers["Authorization"] == f"Basic {pair}"
    usual = {"token": TOKEN, "token_type_hint": "access_token"}
    assert form_of(by_header.body) == usual
    client = {"client_id": "https://revoker", "client_secret": f"a+b/{CLIENT_SECRET}"}
    assert form_of(by_form.body) == usual | client
    assert "Authorization" not in by_form.headers


@pytest.mark.parametrize(("kind", "algorithm"), [("RSA", "RS256"), ("P-256", "ES256"), ("P-384", "ES384")])
async def test_a_client_signs_each_call(
    server: FakeProvider, session: aiohttp.ClientSession, kind: str, algorithm: str
) -> None:
    """private_key_jwt without a login (RFC 7523 section 2.2): each request and each probe has an id of its own."""
    auth = {"scheme": "private_key_jwt", "client_id": "revoker", "audience": ISSUER, "private_key": pem(kind)}
    probe = {"request": "POST /introspect", "dead": [{"status": 200, "json": {"active": False}}]}
    table = settings(server.url, auth | {"key_id": "k1"}, probe=probe)
    server.will_answer(200, {"active": False})
    provider = Declared("acme", table, session, OPENER)
    outcome = await provider.execute(SESSION_CALL)
    assert isinstance(outcome, Settled)
    assert outcome.state is State.CONFIRMED
    assertions = [form_of(each.body).pop("client_assertion") for each in server.heard]
    assert len(set(assertions)) == 2
    for each in assertions:
        header = {"alg": algorithm, "typ": "JWT", "kid": "k1"}
        assert read(each, kind) == (header, {"iss": "revoker", "sub": "revoker", "aud": ISSUER})
    preview = provider.preview(SESSION_CALL)
    assert preview.body is not None
    assert form_of(preview.body)["client_assertion"] == "•••"


async def test_a_client_signs_its_login(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """The assertion is for the token endpoint, the bought token goes into the call."""
    auth = {"scheme": "private_key_jwt", "token_url": "", "client_id": "revoker", "private_key": pem()}
    server.will_answer(200)
    provider = Declared("acme", settings(server.url, auth | {"extra": {"scope": "end"}}, "user"), session, OPENER)
    assert isinstance(await provider.execute(USER_CALL), Settled)
    assert server.heard[0].headers["Authorization"] == f"Bearer {WORKER_BEARER}"
    form = form_of(server.logins[0].body)
    claims = {"iss": "revoker", "sub": "revoker", "aud": f"{server.url}/oauth/token"}
    assert read(form.pop("client_assertion")) == ({"alg": "ES256", "typ": "JWT"}, claims)
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    client = {"client_id": "revoker", "client_assertion_type": kind}
    assert form == {"grant_type": "client_credentials", "scope": "end"} | client


async def test_a_signed_jwt_is_the_grant(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """RFC 7523 section 2.1, as Google wants it of a service account: the scope is a claim."""
    auth = {"scheme": "jwt_bearer", "token_url": "", "issuer": "sa@p.example", "subject": "boss@example.com"}
    scope = {"scope": "https://scope.example/security"}
    more: dict[str, Any] = {"claims": scope, "private_key": pem("RSA"), "key_id": "k1"}
    server.will_answer(200)
    provider = Declared("acme", settings(server.url, auth | more, "user"), session, OPENER)
    assert isinstance(await provider.execute(USER_CALL), Settled)
    form = form_of(server.logins[0].body)
    claims = {"iss": "sa@p.example", "sub": "boss@example.com", "aud": f"{server.url}/oauth/token"} | scope
    assert read(form.pop("assertion"), "RSA") == ({"alg": "RS256", "typ": "JWT", "kid": "k1"}, claims)
    assert form == {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}


async def test_each_call_bears_a_jwt_of_its_own(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """As Global Token Revocation is called; a refusal is our credential's, and no login could heal it."""
    auth = {"scheme": "signed_jwt", "issuer": "https://idp.example", "audience": ISSUER, "private_key": pem()}
    refused = {"status": 401, "means": "credential"}
    rows = {"outcomes": [OK, refused], "examples": [OK, refused]}
    table = settings(server.url, auth | {"type": "global-token-revocation+jwt"}, "user", **rows)
    provider, bearers = Declared("acme", table, session, OPENER), []
    for status in (200, 401):
        server.will_answer(status)
        outcome = await provider.execute(USER_CALL)
        bearers.append(server.heard[-1].headers["Authorization"].removeprefix("Bearer "))
    assert isinstance(outcome, CredentialFault)
    assert len(server.heard) == len(set(bearers)) == 2
    header = {"alg": "ES256", "typ": "global-token-revocation+jwt"}
    assert read(bearers[0]) == (header, {"iss": "https://idp.example", "aud": ISSUER})
    assert provider.preview(USER_CALL).headers["Authorization"] == "Bearer •••"


async def test_our_own_door_takes_what_the_catalogues_table_sends(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """Global Token Revocation from both sides: the signature, its type and claims, and the subject."""
    written = tomllib.loads(re.sub(r"<[a-z ]+>", "a.example", catalogue.table("gtr", "mine")))["providers"]["mine"]
    auth = written["auth"] | {"private_key": pem()}
    table = HttpSettings.model_validate(written | {"base_url": server.url, "auth": auth, "timeout": 5})
    server.will_answer(204)
    who = USER_CALL.model_copy(update={"user_id": "ada@example.com"})
    assert isinstance(await Declared("gtr", table, session, OPENER).execute(who), Settled)
    [heard] = server.heard
    keys = KeySet.import_key_set({"keys": [key("P-256").as_dict(private=False) | {"kid": "a.example"}]})
    arrival = Arrival("POST", "", "", heard.headers, heard.body, datetime.now(UTC), keys)
    told = {"issuer": "https://a.example", "audience": auth["audience"], "jwks_file": Path("/keys")}
    verdict = GlobalTokenRevocation(Settings.model_validate({"kind": KIND.name, **told})).judge(arrival)
    assert verdict.answer.status == 204
    assert [each.data["sub_id"]["email"] for each in verdict.events] == ["ada@example.com"]


def short_key() -> str:
    """Return an RSA key that RFC 7518 (section 3.3) does not let sign."""
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return generate_private_key(65537, 1024).private_bytes(*form).decode()  # noqa: S505 - that it is short is the point


@pytest.mark.filterwarnings("ignore:Key size")
@in_one_test
@pytest.mark.parametrize(
    "planted",
    [
        short_key(),
        "-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----",
        ECKey.generate_key("secp256k1").as_pem(private=True).decode(),
        OKPKey.generate_key("Ed25519").as_pem(private=True).decode(),
        ECKey.generate_key("P-256").as_pem(private=False).decode(),
        ECKey.generate_key("P-256").as_pem(private=True, password="planted").decode(),
        "planted",
    ],
)
def test_a_key_that_signs_nothing_does_not_load(planted: str) -> None:
    """By its setting, and without a word of it."""
    auth = {"scheme": "signed_jwt", "issuer": "me", "audience": ISSUER, "private_key": planted}
    with pytest.raises(ValidationError, match="private_key") as refusal:
        settings("https://api.acme.example", auth, "user")
    assert "must be a private key" in str(refusal.value)
    assert "planted" not in str(refusal.value)
    assert planted not in str(refusal.value)


POST = {"scheme": "client_secret_post", "client_id": "revoker", "client_secret": API_KEY}


@in_one_test
@pytest.mark.parametrize(
    ("auth", "changes", "told"),
    [
        (POST, {"form": {}, "json": {"a": "b"}, "credential": "json:token"}, "no_form"),
        (POST, {"probe": {"request": "GET /introspect", "dead": [{"status": 401}]}}, "no_form"),
        (POST, {"request": "GET /revoke"}, "no_form"),
        (POST, {"form": {"client_id": "other"}}, "member_taken"),
        (POST, {"credential": "form:client_secret"}, "member_taken"),
        ({"scheme": "private_key_jwt", "client_id": "revoker"}, {}, "token_url or audience"),
        ({"scheme": "private_key_jwt", "client_id": "revoker", "audience": "a", "extra": {"scope": "b"}}, {}, "extra"),
        ({"scheme": "signed_jwt", "issuer": "me"}, {}, "audience"),
        ({"scheme": "jwt_bearer", "issuer": "me", "token_url": "http://login.example/planted"}, {}, "token_url"),
    ],
)  # fmt: skip
def test_what_cannot_show_the_worker_does_not_load(auth: dict[str, Any], changes: dict[str, Any], told: str) -> None:
    """Named, and without a value."""
    secret = {} if "client_secret" in auth else {"private_key": pem()}
    with pytest.raises(ValidationError) as refusal:
        settings("https://api.acme.example", auth | secret, **changes)
    assert told in str(refusal.value)
    assert "planted" not in str(refusal.value)
    assert API_KEY not in str(refusal.value)
