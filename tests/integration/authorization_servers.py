"""Authorization servers that others wrote, with clients of a test's: `oidc-provider` of npm, Canaille of PyPI."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from joserfc.jwk import ECKey
from provider_calls import session_call
from pydantic import TypeAdapter
from servers import Processes, free_port
from servers.waiting import eventually
from yarl import URL

from tasks.outcome import Outcome
from tasks.providers.answers import Answer
from tasks.providers.declared import REVOKE_SESSION, HttpSettings
from tasks.providers.declared.auth import Auth
from tasks.providers.declared.credentials import Borne, bearing_of
from tasks.providers.declared.provider import Declared
from tasks.providers.http import Edge, open_session
from tasks.providers.provider import Request
from tasks.sealing import KeyRing, generate_key, seal
from worker.operations import catalogue, discovery

TESTS: Final = Path(__file__).parents[1]
NODE: Final = (str(TESTS.parent / ".venv/bin/node"), str(TESTS / "node/authorization_server.mjs"))
CANAILLE: Final = str(TESTS / "canaille/.venv/bin/canaille")
METHODS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt")
SECRET: Final = "planted+client/secret=0123456789"
SIGNING_KEY: Final = ECKey.generate_key("P-256", {"kid": "ours", "use": "sig", "alg": "ES256"})
SEALING_KEY: Final = generate_key("test-2026")
AUTH: Final = TypeAdapter[Auth](Auth)
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Peer:
    """An authorization server, and clients that it knows: ours, each by the method of its name, and `theirs`."""

    issuer: str
    edge: Edge
    clients: Mapping[str, Mapping[str, str]]  # as tables have them below `auth`

    async def token(self, name: str) -> str:
        """Return a token that the client *name* was given."""
        return str((await self.ask("token", name, grant_type="client_credentials"))["access_token"])

    async def lives(self, token: str, name: str) -> bool:
        """Whether the server tells the client *name*, which was given *token*, that it is live."""
        return bool((await self.ask("introspection", name, token=token))["active"])

    async def ask(self, endpoint: str, name: str, **form: str) -> Mapping[str, Any]:
        """Return what the server answers the client *name* at *endpoint*."""
        url = URL(str((await self.get("/.well-known/openid-configuration"))[f"{endpoint}_endpoint"]))

        def build(borne: Borne) -> Request:
            headers, body = {**FORM, **borne.headers}, urlencode({**form, **borne.form})
            return Request("POST", url, headers, body.encode())

        bearing = bearing_of(AUTH.validate_python(self.clients[name]), self.edge)
        answer = await bearing.send(build, self.edge.deadline(), lambda _: False)
        assert isinstance(answer, Answer)
        assert answer.status == 200
        return answer.document()

    async def get(self, path: str) -> Mapping[str, Any]:
        """Return what the server says at *path*; nothing where it does not answer."""
        answer = await self.edge.send(Request("GET", URL(f"{self.issuer}{path}"), {}), self.edge.deadline())
        return answer.document() if isinstance(answer, Answer) else {}

    async def revoke(self, token: str, name: str, **changes: str) -> Outcome:
        """Have the worker revoke *token* as the client *name*, by the table that the server's own words make."""
        server = await discovery.read(self.issuer, self.edge)
        text = catalogue.table(discovery.TABLE, "acme")
        table = tomllib.loads(discovery.written(text, replace(server, methods=(self.clients[name]["scheme"],))))
        mine = table["providers"]["acme"]
        settings = HttpSettings.model_validate(mine | {"auth": mine["auth"] | self.clients[name] | changes})
        call = session_call("e1", "genesys", jwe=seal(token, "acme", SEALING_KEY))
        call = call.model_copy(update={"provider": "acme", "operation": REVOKE_SESSION})
        async with open_session() as session:
            return await Declared("acme", settings, session, KeyRing([SEALING_KEY])).execute(call)


async def oidc_provider(processes: Processes, edge: Edge) -> Peer:
    """Start `oidc-provider`, which knows a client of each method."""
    issuer, port = address()
    signing = {"private_key": SIGNING_KEY.as_pem(private=True).decode(), "audience": issuer, "key_id": "ours"}
    secret = {"client_secret": SECRET}
    clients = {each: {"scheme": each, "client_id": each, **secret} for each in METHODS[:2]}
    clients |= {"private_key_jwt": {"scheme": "private_key_jwt", "client_id": "private_key_jwt", **signing}}
    clients |= {"theirs": {"scheme": "client_secret_basic", "client_id": "theirs", **secret}}
    told = {"jwks": {"keys": [SIGNING_KEY.as_dict(private=False)]}}
    known = [
        {
            "client_id": name,
            "token_endpoint_auth_method": each["scheme"],
            **(secret if secret.items() <= each.items() else told),
        }
        for name, each in clients.items()
    ]
    processes.start(*NODE, port, json.dumps(known), name="oidc-provider")
    return await up(Peer(issuer, edge, clients))


async def canaille(processes: Processes, edge: Edge) -> Peer:
    """Start Canaille in memory; two clients register themselves there (RFC 7591). It knows one method here."""
    issuer, port = address()
    env = {
        "SECRET_KEY": "of-a-test-0123456789",
        "SERVER_NAME": f"127.0.0.1:{port}",
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE_DATABASE": "memory",
        "CANAILLE_OIDC__DYNAMIC_CLIENT_REGISTRATION_OPEN": "true",
    }
    processes.start(CANAILLE, "run", "--workers", "0", "--bind", f"127.0.0.1:{port}", env=env, name="canaille")
    peer = await up(Peer(issuer, edge, {}))
    return replace(peer, clients={name: await registered(peer) for name in (METHODS[0], "theirs")})


async def registered(peer: Peer) -> Mapping[str, str]:
    """Register a client, and return how it shows itself."""
    client = {
        "redirect_uris": ["http://127.0.0.1/callback"],
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": METHODS[0],
        "scope": "openid",
    }
    url = URL(f"{peer.issuer}/oauth/register")
    request = Request("POST", url, {"Content-Type": "application/json"}, json.dumps(client).encode())
    answer = await peer.edge.send(request, peer.edge.deadline())
    assert isinstance(answer, Answer)
    told = answer.document()
    return {"scheme": METHODS[0], "client_id": str(told["client_id"]), "client_secret": str(told["client_secret"])}


def address() -> tuple[str, str]:
    """Return an issuer on this machine, and its port."""
    port = free_port()
    return f"http://127.0.0.1:{port}", str(port)


async def up(peer: Peer) -> Peer:
    """Return *peer* once it answers."""
    await eventually(lambda: peer.get("/.well-known/openid-configuration"), 60, f"{peer.issuer} to answer")
    return peer
