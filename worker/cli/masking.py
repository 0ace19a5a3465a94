"""Secrets as they may be shown."""

from __future__ import annotations

from typing import Final

from pydantic import SecretStr

HIDDEN: Final = "•••"


def masked(secret: SecretStr) -> str:
    """Of a broker's or database's URL the place, of any other secret nothing.

    Whatever stands before the last @ may be a password, however it is made.
    """
    scheme, is_url, rest = secret.get_secret_value().partition("://")
    if not is_url or not scheme.isascii() or scheme.startswith("http"):
        return HIDDEN
    place = rest.rpartition("@")[2].partition("?")[0]
    return f"{scheme}://{HIDDEN + '@' if '@' in rest else ''}{place}"
