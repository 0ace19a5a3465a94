"""Genesys Cloud: its settings and its kind; the client of its token API is imported with the first instance."""

from tasks.providers.genesys.kind import DELETE_TOKEN, DELETE_TOKENS_ME, KIND
from tasks.providers.genesys.settings import GenesysSettings

__all__ = ["DELETE_TOKEN", "DELETE_TOKENS_ME", "KIND", "GenesysSettings"]
