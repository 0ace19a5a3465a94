"""The network is off: a test that reaches for another host is a broken test."""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import pytest


class NetworkIsOffError(Exception):
    """A test tried to reach an address that is not on loopback. No OSError, so that no retry can swallow it."""


def only_loopback(patch: pytest.MonkeyPatch) -> None:
    """Make every socket of this process refuse what is neither loopback nor a local socket file."""
    for name in ("connect", "connect_ex", "sendto"):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))


def _guarded(original: Callable[..., object]) -> Callable[..., object]:
    def guarded(self: socket.socket, *arguments: Any) -> object:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            _refuse_others(arguments[-1][0])
        return original(self, *arguments)

    return guarded


def _refuse_others(host: str) -> None:
    if not _is_loopback(host):
        raise NetworkIsOffError(f"tests reach loopback only, not {host}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
