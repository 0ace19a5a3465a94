"""Acme: every session of a user ends by one call with our API key. A single session cannot be ended."""

import re
from typing import Final, Literal

import aiohttp
from pydantic import Field, SecretStr

from tasks.call import ProviderCall
from tasks.outcome import Outcome, Transient
from tasks.providers.answers import StatusMeaning, status_table
from tasks.providers.http import Edge
from tasks.providers.provider import MASK, BaseUrl, CommonSettings, HeaderSecret, Kind, Request, UserPlan, endpoint
from tasks.sealing import Unsealer

END_SESSIONS: Final = "acme.end_sessions"  # the operation, and the name of its Celery task
STATUSES: Final = status_table({401: StatusMeaning.FAULT, 403: StatusMeaning.FAULT}, success={204})
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


class Acme:
    """One Acme organization's API."""

    def __init__(self, name: str, settings: AcmeSettings, session: aiohttp.ClientSession, _: Unsealer) -> None:
        self.name = name
        self._settings = settings
        self._edge = Edge(session, settings.timeout)

    async def execute(self, call: ProviderCall) -> Outcome:
        """Make *call* once. Raises ValueError for an operation of another kind."""
        answer = await self._edge.send(self._request(call, self._settings.api_key), self._edge.deadline())
        if isinstance(answer, Transient):
            return answer
        return answer.outcome(STATUSES.get(answer.status, StatusMeaning.RETRY), {"code": answer.members().get("code")})

    def preview(self, call: ProviderCall) -> Request:
        """Return the very request `execute` would send, masked. Raises ValueError for an operation of another kind."""
        return self._request(call, MASK)

    async def check(self) -> Outcome:
        """Whether the API can be reached."""
        answer = await self._edge.send(Request("HEAD", endpoint(self._settings.api), {}), self._edge.deadline())
        return answer if isinstance(answer, Transient) else answer.reachability_outcome()

    def _request(self, call: ProviderCall, api_key: SecretStr) -> Request:
        if call.operation != END_SESSIONS or call.user_id is None:
            raise ValueError(f"{call.operation} is no operation of Acme")
        url = endpoint(self._settings.api, "users", call.user_id, "sessions")
        return Request("DELETE", url, {"X-Api-Key": api_key.get_secret_value()}, secrets=(api_key,))


KIND: Final = Kind(
    "acme",
    AcmeSettings,
    Acme,
    user=UserPlan(END_SESSIONS, lambda user_id: USER_ID.fullmatch(user_id) is not None),
    documented_limit=600,  # requests in 60 s
)
