"""A whole installation with a door of an identity provider and one of a directory."""

import re
from pathlib import Path
from typing import Any, Final

import aiohttp
from door_peer import AUDIENCE, ISSUER, Idp
from graph_samples import STATE
from servers import Daemon, Processes, free_port, wait_until
from system import System

SCIM_SECRET: Final = "a-secret-of-the-directory-0123456789"
USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
OFF: Final = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    "Operations": [{"op": "Replace", "path": "active", "value": "False"}],
}
AWAY: Final = {"REVOKER_BROKER_URL": "amqp://guest:guest@127.0.0.1:1"}  # where nobody listens


class Installed:
    """A whole installation with a door of an identity provider; its broker may be away."""

    def __init__(self, home: Path, processes: Processes, idp: Idp) -> None:
        kind = {"kind": "global-token-revocation", "issuer": ISSUER, "audience": AUDIENCE}
        (home / "scim-secret").write_text(f"{SCIM_SECRET}\nthe-one-before-that-0123456789\n")
        (home / "scim-secret").chmod(0o600)
        port = free_port()
        self.scim = f"http://127.0.0.1:{port}/scim"
        scim = {"kind": "scim", "url": self.scim, "bearer_file": str(home / "scim-secret"), "subject_issuer": ISSUER}
        hook = {"kind": "okta-event-hook", "bearer_file": str(home / "scim-secret"), "subject_issuer": ISSUER}
        keycloak = {"kind": "keycloak", "hmac_file": str(home / "scim-secret"), "realms": ["acme"], "issuer": ISSUER}
        idp_door = {**kind, "jwks_file": str(idp.jwks), "rate": 100_000}
        graph = {"kind": "graph", "tenant": "t", "client_id": "c", "client_secret": "s", "client_state": STATE}
        graph["subject_issuer"] = ISSUER
        doors = {"idp": idp_door, "scim": scim, "hook": hook, "keycloak": keycloak, "graph": graph}
        both = ["user.disabled", "user.enabled"]
        sources = {
            "idp": {"source": "https://idp.example.com", "doors": ["idp"]},
            "directory": {"source": "https://directory.example.com", "doors": ["scim"], "types": both},
            "okta": {"source": "https://example.okta.com", "doors": ["hook"]},
            "keycloak": {"source": "https://login.example.com/realms/acme", "doors": ["keycloak"]},
            "graph": {"source": "https://sts.example.com/t/", "doors": ["graph"], "types": both},
        }
        url = f"embedded:///{home / 'system' / 'broker.sqlite3'}"
        more: dict[str, Any] = {"sources": sources, "doors": doors, "door": {"port": port}}
        self.system = System(home / "system", url, processes, **more)
        self.processes, self.idp = processes, idp
        self.url = ""

    def open(self, **variables: str) -> Daemon:
        """Start the process; returns once it listens."""
        env = self.system.shown("door", **variables)
        process = self.processes.start("revoker", "door", env=env, name="door")
        [url] = wait_until(lambda: re.findall(r"http://127\.0\.0\.1:\d+", process.output), 30, "the doors' address")
        self.url = f"{url}/idp"
        return process

    async def command(self, user: str, bearer: str) -> int:
        """Command that a user of ISSUER be logged out; returns the status."""
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {bearer}"}
            body = {"sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": user}}
            async with session.post(self.url, json=body, headers=headers) as response:
                return response.status

    async def posts(self, door: str, body: bytes, **headers: str) -> int:
        """Send *body* to a door as a webhook does; returns the status."""
        url = self.url.removesuffix("idp") + door
        async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
            return response.status

    async def scims(self, method: str, path: str, body: Any = None, secret: str = SCIM_SECRET) -> tuple[int, Any]:
        """Say something as a directory does; returns status and document."""
        headers = {"Authorization": f"Bearer {secret}"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.scim + path, json=body, headers=headers) as response,
        ):
            return response.status, await response.json(content_type=None)

    async def provisions(self, user: str) -> str:
        """Provision *user*; returns the path of the account."""
        status, document = await self.scims("POST", "/Users", {"userName": user, "externalId": user, "schemas": [USER]})
        assert status == 201, document
        return f"/Users/{document['id']}"
