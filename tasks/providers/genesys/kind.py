"""What Genesys Cloud revokes: a session, and every token of a user."""

from typing import Final, TypeGuard

from tasks.call import UUID_FORM
from tasks.providers.genesys.settings import GenesysSettings
from tasks.providers.kind import Kind, SessionPlan, UserPlan

DELETE_TOKENS_ME: Final = "genesys.delete_tokens_me"
DELETE_TOKEN: Final = "genesys.delete_token"  # noqa: S105 - an operation's name


def is_user_id(value: str | None) -> TypeGuard[str]:
    """Whether *value* may stand in `/tokens/{userId}`: a UUID, so none of its siblings `me` and `timeout`."""
    return value is not None and UUID_FORM.fullmatch(value) is not None


KIND: Final = Kind(
    "genesys",
    GenesysSettings,
    "tasks.providers.genesys.provider:Genesys",
    session=SessionPlan(DELETE_TOKENS_ME, "jwe"),
    user=UserPlan(DELETE_TOKEN, is_user_id),
    documented_limit=300,  # Genesys Cloud developer center, "Limits": client.credentials.token.rate.per.minute
)
