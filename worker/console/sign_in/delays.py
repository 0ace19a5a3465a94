"""Wrong passwords make answers slower, and lock nobody out.

After wrong ones an account's answers wait some seconds, whoever asks: less than a minute, so that a stranger who tries
cannot keep its owner out. The attempts from one address stand in a line that only its own attempts make longer.
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeVar

ACCOUNT_CAP: Final = 4.0  # seconds that an answer about one account waits at most
ADDRESS_CAP: Final = 15.0  # seconds between two answers to one address at most
FIRST: Final = 0.25  # seconds after the first wrong password, doubled by each
LONGEST: Final = 60.0  # seconds that one attempt waits; an address with more in its line is told to come again
MEMORY: Final = 900.0  # seconds after which a wrong password is forgotten
KEPT: Final = 10_000  # accounts and addresses: the oldest give way
_IPV6_NETWORK: Final = 64  # bits that one customer has

Kept = TypeVar("Kept")


class TooManyAttempts(Exception):  # noqa: N818 - what is the case
    """So many attempts of one address wait already that one more would wait too long."""


class Delays:
    """How long each answer to a password waits, in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._accounts, self._addresses = _Failures(clock), _Failures(clock)
        self._lines: OrderedDict[str, float] = OrderedDict()  # when the last attempt of each address may begin

    def wait(self, account: str, address: str) -> float:
        """Return the seconds that an attempt at *account* from *address* waits. Raises TooManyAttempts."""
        now, network = self._clock(), _network(address)
        place = max(now, self._lines.get(network, now)) + min(self._addresses.pause(network), ADDRESS_CAP)
        if place - now > LONGEST:
            raise TooManyAttempts
        _keep(self._lines, network, place)
        return max(place - now, min(self._accounts.pause(account), ACCOUNT_CAP))

    def failed(self, account: str, address: str) -> None:
        """The password was wrong, or there is no such account: strangers are not told which."""
        self._accounts.add(account)
        self._addresses.add(_network(address))

    def succeeded(self, account: str) -> None:
        """It was right. The address is not forgiven: its next attempt may be at another account."""
        self._accounts.forget(account)


class _Failures:
    """How often each key failed lately."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()  # and when the last one was

    def pause(self, key: str) -> float:
        count, at = self._counts.get(key, (0, 0.0))
        if not count or self._clock() - at > MEMORY:
            return 0.0
        return FIRST * 2.0 ** min(count - 1, 16)

    def add(self, key: str) -> None:
        count = self._counts.get(key, (0, 0.0))[0] if self.pause(key) else 0
        _keep(self._counts, key, (count + 1, self._clock()))

    def forget(self, key: str) -> None:
        self._counts.pop(key, None)


def _keep(kept: OrderedDict[str, Kept], key: str, value: Kept) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > KEPT:
        kept.popitem(last=False)


def _network(address: str) -> str:
    """Whose *address* it is: of IPv6 anybody has as many as they like in one network."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if known.version == 4:  # noqa: PLR2004 - IPv4
        return str(known)
    return str(ipaddress.ip_network((known, _IPV6_NETWORK), strict=False))
