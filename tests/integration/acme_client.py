"""Acme: every session of a user ends by one call with our API key."""

from typing import Final

import aiohttp
from acme import END_SESSIONS, AcmeSettings
from pydantic import SecretStr

from tasks.call import ProviderCall
from tasks.outcome import Outcome, Transient
from tasks.providers.answers import StatusMeaning, status_table
from tasks.providers.http import Edge
from tasks.providers.provider import MASK, Request, endpoint
from tasks.sealing import Unsealer

STATUSES: Final = status_table({401: StatusMeaning.FAULT, 403: StatusMeaning.FAULT}, success={204})


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
