"""Producers as an installation has them: several sources that sign, and sealed tokens at four providers of all kinds.

Everything is made beforehand, and once for all rounds: what producers spend is not the worker's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.installation import Installation, user_id
from tasks.providers.wibmo.ciphers.config import CipherConfig
from tasks.providers.wibmo.ciphers.schemes import make_cipher
from tasks.sealing import generate_key, save_key, seal
from worker.broker import messages
from worker.broker.publication import Message
from worker.intake.signing import generate_signing_key, sign

PROVIDERS: Final = ("genesys", "genesys-eu", "finbourne", "wibmo")
SOURCES: Final = 3
_CIPHER: Final = {"scheme": "aes-ecb", "key": "k" * 32, "key_encoding": "raw", "accept_risk": "aes-ecb"}  # ECB: a
# reference is the same text each time, so that the provider can count it without a key.


@dataclass
class Producers:
    """Signing keys, the sealing key, and the events made so far."""

    signers: tuple[Any, ...] = field(
        default_factory=lambda: tuple(map(generate_signing_key, map("k{}".format, range(SOURCES))))
    )
    sealing: Any = field(default_factory=lambda: generate_key("benchmark"))
    ended: list[Message] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)  # by which the provider counts the calls of these events

    def __post_init__(self) -> None:
        self._cipher = make_cipher(CipherConfig.model_validate(_CIPHER))

    @property
    def wibmo_answer(self) -> bytes:
        """What Wibmo says of a success."""
        return self._cipher.encrypt(json.dumps({"resCode": 100, "resDesc": "SUCCESS"}).encode())

    def make(self, count: int) -> None:
        """Have *count* events that end a session each, at each provider in turn."""
        for n in range(len(self.ended), count):
            provider, token = PROVIDERS[n % len(PROVIDERS)], user_id(n)
            self.ended.append(self._signed(n, "session.ended", {"sessions": [self._session(provider, token)]}))
            self.ids.append(self._counted_as(provider, token))

    def disabled(self, n: int) -> Message:
        """An urgent event, of a user whose id is that of number *n*."""
        subject = {"format": "email", "email": f"user-{n}@example.com"}
        return self._signed(n, "user.disabled", {"sub_id": subject, "accounts": {"genesys": {"user_id": user_id(n)}}})

    def _session(self, provider: str, token: str) -> dict[str, Any]:
        if provider == "wibmo":
            return {"provider": provider, "credential": {"token_reference_id": token}}
        return {"provider": provider, "credential": {"jwe": seal(token, provider, self.sealing)}}

    def _counted_as(self, provider: str, token: str) -> str:
        if provider != "wibmo":
            return token
        return self._cipher.encrypt(json.dumps({"tokenReferenceId": token}).encode()).decode()

    def _signed(self, n: int, kind: str, data: Mapping[str, Any]) -> Message:
        source = n % SOURCES
        document = {
            "specversion": "1.0",
            "id": f"installed-{n}",
            "source": f"urn:benchmark:{source}",
            "type": kind,
            "time": datetime.now(UTC).isoformat(),
            "data": data,
        }
        body = json.dumps(document).encode()
        return messages.event(body, kind, headers={messages.SIGNATURE: sign(body, self.signers[source])})


@dataclass(frozen=True)
class SignedInstallation(Installation):
    """An installation for the events of *producers*, which must be given."""

    producers: Producers = field(default_factory=Producers)

    @property
    def names(self) -> list[str]:
        """The provider instances."""
        return list(PROVIDERS)

    @property
    def provider_settings(self) -> dict[str, Any]:
        """As an operator writes them, but for the vendor's limit of Genesys."""
        login = {"kind": "genesys", "client_id": "benchmark", "client_secret": "secret-of-nothing", "rate_limit": 0}
        places = {name: f"{self.base_url}/{name}" for name in PROVIDERS}
        return {
            **{n: {**login, "api_base_url": places[n], "login_base_url": places[n]} for n in PROVIDERS[:2]},
            "finbourne": {"kind": "finbourne", "base_url": places["finbourne"]},
            "wibmo": {"kind": "wibmo", "base_url": places["wibmo"], "api_key": "key-of-nothing", "cipher": _CIPHER},
        }

    @property
    def sources(self) -> dict[str, Any]:
        """Each proves by its own key what it says."""
        return {f"s{n}": {"source": f"urn:benchmark:{n}", "keys": str(self._key_file(n))} for n in range(SOURCES)}

    def make(self) -> None:
        """Make its folder and its keys."""
        keys = self.home / "keys"
        keys.mkdir(parents=True, mode=0o700, exist_ok=True)
        save_key(keys, self.producers.sealing)
        for n, key in enumerate(self.producers.signers):
            self._key_file(n).write_text(json.dumps({"keys": [key.as_dict(private=False)]}))

    def _key_file(self, n: int) -> Path:
        return self.home / f"source-{n}.json"
