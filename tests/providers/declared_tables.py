"""Declared providers for the tests: tables as an operator writes them, pointed at a server of the test."""

import tomllib
from pathlib import Path
from typing import Any

import aiohttp
from calls import API_KEY, CLIENT_SECRET, OPENER, USER_ID, call, sealed_call

from tasks.providers.declared import REVOKE_SESSION, REVOKE_USER, HttpSettings
from tasks.providers.declared.provider import Declared

TABLES = Path(__file__).parent / "tables"
SESSION_CALL = sealed_call(REVOKE_SESSION, "acme")
USER_CALL = call(REVOKE_USER, "acme", user_id=USER_ID)


def table(name: str, **changes: Any) -> dict[str, Any]:
    """Return the table *name*, with *changes* at its top."""
    return tomllib.loads((TABLES / f"{name}.toml").read_text()) | changes


def at_server(name: str, url: str, timeout: float = 5.0) -> HttpSettings:
    """Return the settings of table *name* with a server at *url*, and our secrets."""
    settings = table(name, timeout=timeout)
    settings["base_url"] = url + ("/identity" if name == "finbourne" else "")
    auth = settings.get("auth", {})
    if "token_url" in auth:
        auth |= {"token_url": f"{url}/oauth/token", "client_secret": CLIENT_SECRET}
    elif auth:
        auth |= {"api_key": API_KEY}
    return HttpSettings.model_validate(settings)


def declared(name: str, url: str, session: aiohttp.ClientSession, timeout: float = 5.0) -> Declared:
    """Return the provider of table *name*, with a server at *url*."""
    return Declared("acme", at_server(name, url, timeout), session, OPENER)
