"""Acme: what its settings are, and what it ends: every session of a user, and no single one."""

import re
from typing import Final, Literal

from pydantic import Field

from tasks.providers.kind import BaseUrl, CommonSettings, HeaderSecret, Kind, UserPlan

END_SESSIONS: Final = "acme.end_sessions"  # the operation, and the name of its Celery task
USER_ID: Final = re.compile(r"[0-9]{1,19}", re.ASCII)


class AcmeSettings(CommonSettings):
    """One Acme organization."""

    kind: Literal["acme"] = "acme"
    base_url: BaseUrl = Field(description="Everything before /users")
    api_key: HeaderSecret = Field(description="Sent as X-Api-Key")

    @property
    def api(self) -> str:
        """The base URL of the API that revokes."""
        return self.base_url

    @property
    def account(self) -> tuple[str, ...]:
        """What Acme tells callers apart by: instances with the same account share a rate limit."""
        return (self.base_url, self.api_key.get_secret_value())


KIND: Final = Kind(
    "acme",
    AcmeSettings,
    "acme_client:Acme",  # module and class
    user=UserPlan(END_SESSIONS, lambda user_id: USER_ID.fullmatch(user_id) is not None),
    documented_limit=600,  # requests in 60 s
)
