"""Secrets as they may be shown."""

from __future__ import annotations

from pydantic import SecretStr

from worker.settings.urls import shown


def masked(secret: SecretStr) -> str:
    """Of a broker's or database's URL the place, of any other secret nothing."""
    return shown(secret.get_secret_value())
