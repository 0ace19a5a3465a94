"""Genesys Cloud: its settings, its kind, and the client of its token API."""

from tasks.providers.genesys.outcomes import IdleTimeout, TokenInfo
from tasks.providers.genesys.provider import KIND, Genesys
from tasks.providers.genesys.settings import REGIONS, GenesysSettings

__all__ = ["KIND", "REGIONS", "Genesys", "GenesysSettings", "IdleTimeout", "TokenInfo"]
