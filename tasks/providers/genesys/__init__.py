"""Genesys Cloud: its settings, its kind, and the client of its token API."""

from tasks.providers.genesys.outcomes import IdleTimeout, TokenInfo
from tasks.providers.genesys.provider import DELETE_TOKEN, DELETE_TOKENS_ME, KIND, Genesys
from tasks.providers.genesys.settings import REGIONS, GenesysSettings

__all__ = [
    "DELETE_TOKEN",
    "DELETE_TOKENS_ME",
    "KIND",
    "REGIONS",
    "Genesys",
    "GenesysSettings",
    "IdleTimeout",
    "TokenInfo",
]
