"""How the events of a row come where they come through a door: as requests, each sent until it is answered with 2xx."""

import asyncio
import hmac
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from door_peer import AUDIENCE, ISSUER, Idp
from keycloak_samples import updated
from okta_samples import DEACTIVATED
from servers import Daemon, free_port
from system import SOURCE, System, write_settings

from chaos.load import Load, Unit
from tasks.doors import back_channel_logout, security_event_tokens
from worker.broker.publication import Unconfirmed

DOOR: Final = "directory"
SECRET: Final = "a-secret-of-the-directory-0123456789"
ACCOUNT_DISABLED: Final = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
_ANSWER_SECONDS: Final = 20.0
_LATER: Final = {429, 503}  # send it again
_TOKEN_SECONDS: Final = 3000  # for which its token is good: a row sends it again until then


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request to the door that asks for one person to be out, and the id of the event that it becomes."""

    event_id: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Source:
    """Whoever sends to a door of the kind *kind*: its keys are in *home*."""

    def __init__(self, kind: str, home: Path) -> None:
        self.kind, self._idp, self._secret = kind, Idp(home), home / "door-secret"
        self._secret.write_text(SECRET)
        self._secret.chmod(0o600)

    @property
    def settings(self) -> dict[str, Any]:
        """Those of its door."""
        issued: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": str(self._idp.jwks)}
        hooked: dict[str, Any] = {"subject_issuer": ISSUER, "bearer_file": str(self._secret)}
        signed: dict[str, Any] = {"issuer": ISSUER, "realms": ["acme"], "hmac_file": str(self._secret)}
        own = {"okta-event-hook": hooked, "keycloak": signed}.get(self.kind, issued)
        return {"kind": self.kind, "rate": 1_000_000, **own}

    def delivery(self, user: str) -> Delivery:
        """Return the request that says *user* is out."""
        return _KINDS[self.kind](self, user)

    def command(self, user: str) -> Delivery:
        """Return a Global Token Revocation of *user*."""
        name, whom = str(uuid.uuid4()), {"format": "iss_sub", "iss": ISSUER, "sub": user}
        event_id = sha256(json.dumps([name, whom], sort_keys=True).encode()).hexdigest()
        bearer = {"Authorization": f"Bearer {self._idp.token(jti=name, exp=_expiry())}"}
        return Delivery(event_id, json.dumps({"sub_id": whom}).encode(), bearer)

    def security_event(self, user: str) -> Delivery:
        """Return a Security Event Token that says so of *user*."""
        name, whom = str(uuid.uuid4()), {"format": "iss_sub", "iss": ISSUER, "sub": user}
        told: dict[str, Any] = {"exp": None, "sub_id": whom, "events": {ACCOUNT_DISABLED: {}}}
        return Delivery(name, self._idp.token(security_event_tokens.TYPE, jti=name, **told).encode())

    def logout_token(self, user: str) -> Delivery:
        """Return the back-channel logout of *user*."""
        name = str(uuid.uuid4())
        told: dict[str, Any] = {"sub": user, "exp": _expiry(), "events": {back_channel_logout.EVENT: {}}}
        token = self._idp.token(back_channel_logout.TYPE, jti=name, **told)
        return Delivery(
            name,
            urlencode({"logout_token": token}).encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )

    def hook(self, user: str) -> Delivery:
        """Return what Okta's event hook says of the deactivation of *user*."""
        name = str(uuid.uuid4())
        event = {**json.loads(DEACTIVATED), "published": datetime.now(UTC).isoformat(), "uuid": name}
        event["target"] = [{"type": "User", "id": user}]
        body = json.dumps({"data": {"events": [event]}}).encode()
        return Delivery(name, body, {"Authorization": f"Bearer {SECRET}"})

    def webhook(self, user: str) -> Delivery:
        """Return what Keycloak's webhook says of the deletion of *user*."""
        name = str(uuid.uuid4())
        now = int(time.time() * 1000)
        event = updated(operationType="DELETE", resourcePath=f"users/{user}", time=now, uid=name)
        body = json.dumps(event).encode()
        return Delivery(name, body, {"X-Keycloak-Signature": hmac.digest(SECRET.encode(), body, "sha256").hex()})


def _expiry() -> int:
    return int(time.time()) + _TOKEN_SECONDS


_KINDS: Final[Mapping[str, Callable[[Source, str], Delivery]]] = {
    "global-token-revocation": Source.command,
    "security-event-tokens": Source.security_event,
    "back-channel-logout": Source.logout_token,
    "okta-event-hook": Source.hook,
    "keycloak": Source.webhook,
}
KINDS: Final = tuple(_KINDS)


def make_deliveries(kind: str) -> Callable[[System, int, Any, Sequence[str]], Load]:
    """Return the load of a door of *kind*: people of whom each delivery says that one is out, everywhere."""

    def load(system: System, count: int, chance: Any, providers: Sequence[str]) -> Load:
        del providers  # a door names no accounts: people are found at Genesys by its issuer's id
        source = Source(kind, system.home)
        system.document["doors"] = {DOOR: source.settings}
        system.document["sources"] = {DOOR: {"source": SOURCE, "doors": [DOOR]}}
        system.document["door"] = {"port": free_port()}
        system.document["providers"]["genesys"] |= {"subject_issuer": ISSUER, "rate_limit": 0}
        write_settings(system.home, system.document)
        people = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(count)]
        sent = [source.delivery(each) for each in people]
        events = [{"id": each.event_id, "type": "user.disabled", "delivery": each} for each in sent]
        units = [Unit(each.event_id, "genesys", user) for each, user in zip(sent, people, strict=True)]
        return Load(SECRET, events, units, chance)

    return load


def deliver(doors: Sequence[Daemon], events: Sequence[Mapping[str, Any]], times: int) -> list[Exception | None]:
    """Send each of *events* to the last of *doors*, *times* at once; return of each why to send it again, or None.

    It is told that an event is taken only where all of its deliveries were answered alike.
    """
    found = [url for door in doors[-1:] for url in re.findall(r"http://127\.0\.0\.1:\d+", door.output)]
    if not found:
        return [ConnectionRefusedError()] * len(events)
    return asyncio.run(_delivered(f"{found[-1]}/{DOOR}", [each["delivery"] for each in events], times))


async def _delivered(url: str, deliveries: Sequence[Delivery], times: int) -> list[Exception | None]:
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        answers = await asyncio.gather(*(_answered(session, url, each, times) for each in deliveries))
    return list(answers)


async def _answered(session: aiohttp.ClientSession, url: str, delivery: Delivery, times: int) -> Exception | None:
    sent = [_sent(session, url, delivery) for _ in range(times)]
    try:
        statuses = set(await asyncio.gather(*sent))
    except (aiohttp.ClientError, TimeoutError) as gone:
        return Unconfirmed(str(gone))
    assert statuses <= {200, 202, 204, *_LATER}, f"the door answered with {statuses}"
    return None if len(statuses) == 1 and not statuses & _LATER else ConnectionRefusedError()


async def _sent(session: aiohttp.ClientSession, url: str, delivery: Delivery) -> int:
    async with session.post(url, data=delivery.body, headers=delivery.headers) as response:
        return response.status
