"""Kind `http`: a provider that a table describes, and no code."""

from tasks.providers.declared.kind import KIND, REVOKE_LISTED, REVOKE_SESSION, REVOKE_USER, HttpSettings

__all__ = ["KIND", "REVOKE_LISTED", "REVOKE_SESSION", "REVOKE_USER", "HttpSettings"]
