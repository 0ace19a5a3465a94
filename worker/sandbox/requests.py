"""What a request says of its sender."""

from __future__ import annotations

import base64
import binascii
import hmac

from aiohttp import web


def bearer(request: web.Request) -> str:
    """Return the bearer token (RFC 6750), empty where there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def basic(request: web.Request) -> tuple[str, str]:
    """Return name and password (RFC 7617), both empty where there are none."""
    scheme, _, coded = request.headers.get("Authorization", "").partition(" ")
    try:
        name, _, password = base64.b64decode(coded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return (name, password) if scheme.lower() == "basic" else ("", "")


def same(known: str, given: str) -> bool:
    """Whether both are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(known.encode(), given.encode())
