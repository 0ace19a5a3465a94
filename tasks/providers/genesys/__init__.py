"""Genesys Cloud: its settings, its kind, and the client of its token API."""

from tasks.providers.genesys.provider import DELETE_TOKEN, DELETE_TOKENS_ME, KIND, Genesys
from tasks.providers.genesys.settings import GenesysSettings

__all__ = ["DELETE_TOKEN", "DELETE_TOKENS_ME", "KIND", "Genesys", "GenesysSettings"]
