"""Free ports on loopback."""

import socket
from random import SystemRandom

# Below Linux's ephemeral range (ip_local_port_range starts at 32768), so that no outgoing connection takes the port
# between the question and its use. SystemRandom: pytest-randomly gives every xdist worker the same seed.
_PORTS = range(15_000, 32_000)
_chance = SystemRandom()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on right now."""
    while True:
        port = _chance.choice(_PORTS)
        if _is_free(port):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
