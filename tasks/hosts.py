"""Host names and addresses, as URLs name them."""

import ipaddress
import re
from typing import Final

_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")


def is_host(host: str) -> bool:
    """Whether *host* is a DNS name (RFC 1123 section 2.1) or an address, without brackets and without a zone."""
    return _NAME.fullmatch(host) is not None or _address(host) is not None


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine whatever a resolver says: `localhost` (RFC 6761 section 6.3) or an address."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address; None for one with a zone (RFC 6874), in which anything at all may stand."""
    try:
        return None if "%" in host else ipaddress.ip_address(host)
    except ValueError:
        return None
