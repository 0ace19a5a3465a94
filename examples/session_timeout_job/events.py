"""An idle session as the event that is published: its token sealed, its bytes signed."""

import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from joserfc import jwe, jws
from joserfc.jwk import import_key

from session_timeout_job.settings import Settings

TYPE = "session.ended"


@dataclass(frozen=True, slots=True)
class IdleSession:
    """A session of the application that nobody uses."""

    id: str
    email: str
    provider: str
    token: str
    expires_at: int

    def __repr__(self) -> str:
        return "IdleSession(…)"  # it holds a token


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A row of the outbox: an event as it is published, now and if need be again."""

    event_id: str
    type: str
    body: str
    signature: str
    created_at: int


class Writer:
    """Writes events with the worker's public key and the job's own signing key."""

    def __init__(self, source: str, sealing_key: dict[str, Any], signing_key: dict[str, Any]) -> None:
        self._source, self._sealing_key, self._signing_key = source, sealing_key, signing_key

    @classmethod
    def read(cls, settings: Settings) -> Self:
        """Read both keys. The worker's newest key stands first in its file."""
        jwks = json.loads(Path(settings.jwks_file).read_bytes())
        return cls(settings.source, jwks["keys"][0], json.loads(Path(settings.signing_key_file).read_bytes()))

    def ended(self, session: IdleSession) -> Outgoing:
        """Return the event that ends *session*."""
        now, event_id = time.time(), str(uuid.uuid4())
        event = {
            "specversion": "1.0",
            "id": event_id,
            "source": self._source,
            "type": TYPE,
            "time": _instant(now),
            "data": {
                "sub_id": {"format": "email", "email": session.email},
                "sessions": [self._sealed(session)],
                "reason": "idle-timeout",
                "initiating_entity": "policy",
            },
        }
        body = json.dumps(event)
        return Outgoing(event_id, TYPE, body, self._signature(body.encode()), int(now))

    def _sealed(self, session: IdleSession) -> dict[str, Any]:
        key = self._sealing_key
        header = {"alg": key["alg"], "enc": "A256GCM", "kid": key["kid"]}
        payload = json.dumps({"aud": session.provider, "token": session.token})
        sealed = jwe.encrypt_compact(header, payload, import_key(key), algorithms=[key["alg"], "A256GCM"])
        return {
            "provider": session.provider,
            "session_id": session.id,
            "credential": {"jwe": sealed},
            "expires_at": _instant(session.expires_at),
        }

    def _signature(self, body: bytes) -> str:
        key = self._signing_key
        header = {"alg": key["alg"], "kid": key["kid"]}
        return jws.detach_content(jws.serialize_compact(header, body, import_key(key), algorithms=[key["alg"]]))


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
