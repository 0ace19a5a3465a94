"""The providers that the sandbox plays as tables of kind `http`: a row does to them what it does to a kind in code."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from system import Providers

_TABLES: Final = Path(__file__).parents[1] / "providers/tables"


def as_tables(providers: Providers) -> Providers:
    """Return *providers*, those of Genesys Cloud and Finbourne written as tables; Wibmo's cipher needs code."""
    return {name: _table(settings) for name, settings in providers.items()}


def _table(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    match settings:
        case {"kind": "genesys", "api_base_url": api, "login_base_url": login}:
            table = _read("genesys")
            ours = {name: settings[name] for name in ("client_id", "client_secret")}
            auth = table["auth"] | ours | {"token_url": f"{login}/oauth/token"}
            return {**table, "base_url": api, "auth": auth, "subject_issuer": settings["subject_issuer"]}
        case {"kind": "finbourne", "base_url": base_url}:
            return {**_read("finbourne"), "base_url": base_url}
    return settings


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_TABLES / f"{name}.toml").read_text())
