"""A client of the sandbox's admin API: seed tokens, script faults, read the journal."""

import contextlib
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from random import SystemRandom
from typing import Any, Final

HOST: Final = "127.0.0.1"
REQUEST_TIMEOUT: Final = 5.0  # seconds for one request on this machine
# Below the range that outgoing connections take theirs from (ip_local_port_range): still free in a second.
_PORTS: Final = range(15_000, 20_000)
_chance: Final = SystemRandom()


class SandboxError(Exception):
    """The sandbox refused a request, or did not answer."""


@dataclass(frozen=True, slots=True)
class SandboxClient:
    """The sandbox on *port* of this machine."""

    port: int

    @property
    def base_url(self) -> str:
        """Where the providers are."""
        return f"http://{HOST}:{self.port}"

    def is_open(self) -> bool:
        """Whether the sandbox answers."""
        try:
            self._ask("GET", "health")
        except SandboxError:
            return False
        return True

    def seed(self, tokens: Sequence[Mapping[str, str]]) -> None:
        """Make *tokens* live."""
        self._ask("POST", "tokens", tokens)

    def script(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Add *faults* to the script."""
        self._ask("POST", "faults", faults)

    def revoked(self) -> frozenset[tuple[str, str]]:
        """What the providers revoked, by their journal: (provider, user id or SHA-256 of the token or reference)."""
        return frozenset((each["provider"], each["key"]) for each in self._ask("GET", "journal") if each["revoked"])

    def _ask(self, method: str, path: str, document: object = None) -> Any:  # noqa: ANN401 - JSON
        connection = HTTPConnection(HOST, self.port, timeout=REQUEST_TIMEOUT)
        try:
            connection.request(method, f"/_sandbox/{path}", json.dumps(document) if document is not None else None)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as error:
            raise SandboxError(f"the sandbox does not answer ({type(error).__name__})") from None
        finally:
            connection.close()
        if answer.status >= 300:  # noqa: PLR2004 - no success
            raise SandboxError(f"the sandbox answers {answer.status} to {method} {path}")
        return json.loads(content)


def free_port() -> int:
    """Return a loopback port that nobody uses now."""
    while True:
        port = _chance.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
