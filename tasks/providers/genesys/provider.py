"""Genesys Cloud: revoke one session with its own token, or every token of a user with the worker's.

Requests as the Platform API has them (developer.genesys.cloud, resource Tokens).
"""

import json
from typing import Final

import aiohttp
from pydantic import SecretStr
from yarl import URL

from tasks.call import ProviderCall
from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, State, Transient
from tasks.providers.answers import Answer
from tasks.providers.genesys import outcomes, permissions
from tasks.providers.genesys.kind import DELETE_TOKEN, DELETE_TOKENS_ME, is_user_id
from tasks.providers.genesys.outcomes import IdleTimeout, TokenInfo
from tasks.providers.genesys.settings import GenesysSettings
from tasks.providers.http import Edge
from tasks.providers.oauth import Login, client_credentials
from tasks.providers.provider import MASK, Request, endpoint, open_sealed
from tasks.sealing import Unsealer

IDLE_SECONDS: Final = range(300, 28801)

_KEEP_IDLE_TIMER: Final = "preserveIdleTTL=true"  # a plain GET /tokens/me would prolong the session it asks about


class Genesys:
    """One Genesys Cloud organization."""

    def __init__(
        self, name: str, settings: GenesysSettings, session: aiohttp.ClientSession, unsealer: Unsealer
    ) -> None:
        self.name = name
        self._settings = settings
        self._unsealer = unsealer
        self._edge = Edge(session, settings.timeout)
        token_url = endpoint(settings.login, "oauth", "token")
        login = client_credentials(token_url, settings.client_id, settings.client_secret)
        self._login = Login(self._edge, lambda: login)

    async def execute(self, call: ProviderCall) -> Outcome:
        """Make *call* once. Raises ValueError for an operation of another kind."""
        if call.operation == DELETE_TOKENS_ME:
            return await self._delete_tokens_me(call)
        if call.operation == DELETE_TOKEN:
            return await self._delete_token(call)
        raise ValueError(f"{call.operation} is no operation of Genesys Cloud")

    def preview(self, call: ProviderCall) -> Request:
        """Return the very request `execute` would send, masked. Raises ValueError for bad input or operation."""
        if call.operation == DELETE_TOKENS_ME:
            return self._request("DELETE", "me", MASK)
        if call.operation == DELETE_TOKEN:
            return self._request("DELETE", _user_id(call), MASK)
        raise ValueError(f"{call.operation} is no operation of Genesys Cloud")

    async def check(self) -> Outcome:
        """Log in anew and ask what our role permits: settled where nothing speaks against a DeleteToken."""
        deadline = self._edge.deadline()
        bearer = await self._login.renewed(deadline)
        if not isinstance(bearer, SecretStr):
            return bearer
        url = endpoint(self._settings.api, "api", "v2", "authorization", "subjects", "me")
        answer = await self._edge.send(_with_bearer("GET", url, bearer), deadline, "login")
        return permissions.of_login(answer)

    async def token_info(self, token: SecretStr) -> TokenInfo | Outcome:
        """Return what the provider knows of *token*, its idle timer left alone; the outcome where it tells nothing."""
        answer = await self._edge.send(self._get_me(token), self._edge.deadline())
        if isinstance(answer, Transient):
            return answer
        return outcomes.document(answer, TokenInfo) if answer.is_success else outcomes.of_own_token(answer)

    async def verify(self, token: SecretStr) -> bool | Outcome:
        """Whether the provider accepts *token*; the outcome where it says neither yes nor no (401)."""
        answer = await self._edge.send(self._request("HEAD", "me", token), self._edge.deadline())
        if isinstance(answer, Transient):
            return answer
        if answer.is_success or answer.status == outcomes.UNAUTHORIZED:
            return answer.is_success
        return outcomes.of_own_token(answer)

    async def idle_timeout(self) -> IdleTimeout | Outcome:
        """Return after how long without use the organization's tokens die; the outcome where it is not told."""
        return await self._idle_timeout("GET", None, self._edge.deadline())

    async def set_idle_timeout(self, seconds: int | None = None, *, enabled: bool = True) -> IdleTimeout | Outcome:
        """Have unused tokens die, or not; after *seconds* (300..28800, else ValueError) where given.

        Every other setting is kept as it is. The worker's client needs directory:organization:admin for it.
        """
        if seconds is not None and seconds not in IDLE_SECONDS:
            raise ValueError("seconds must be from 300 to 28800")
        deadline = self._edge.deadline()
        current = await self._idle_timeout("GET", None, deadline)
        if not isinstance(current, IdleTimeout):
            return current
        wanted = json.dumps(current.changed(enabled=enabled, seconds=seconds)).encode()
        return await self._idle_timeout("PUT", wanted, deadline)

    async def _delete_tokens_me(self, call: ProviderCall) -> Outcome:
        token = open_sealed(self._unsealer, call, self.name)
        if not isinstance(token, SecretStr):
            return token
        deadline = self._edge.deadline()
        answer = await self._edge.send(self._request("DELETE", "me", token), deadline)
        if isinstance(answer, Transient):
            return answer
        outcome = outcomes.of_own_token(answer)
        if isinstance(outcome, Settled) and outcome.state is State.ACCEPTED and self._settings.proof_probe:
            probe = await self._edge.send(self._get_me(token), deadline, "proof")
            return outcomes.with_proof(outcome, probe)
        return outcome

    async def _delete_token(self, call: ProviderCall) -> Outcome:
        if not is_user_id(user_id := call.user_id):
            return Permanent(Reason.ROUTE_UNRESOLVABLE, {"invalid": "user_id"})
        answer = await self._as_worker("DELETE", user_id, None, self._edge.deadline())
        return outcomes.of_delete_token(answer, self._settings.not_found) if isinstance(answer, Answer) else answer

    async def _idle_timeout(self, method: str, body: bytes | None, deadline: float) -> IdleTimeout | Outcome:
        answer = await self._as_worker(method, "timeout", body, deadline)
        if not isinstance(answer, Answer):
            return answer
        return outcomes.document(answer, IdleTimeout) if answer.is_success else outcomes.of_worker_token(answer)

    async def _as_worker(
        self, method: str, last: str, body: bytes | None, deadline: float
    ) -> Answer | Transient | CredentialFault:
        return await self._login.send(
            lambda bearer: self._request(method, last, bearer, body=body), deadline, outcomes.refuses_bearer
        )

    def _get_me(self, token: SecretStr) -> Request:
        return self._request("GET", "me", token, query=_KEEP_IDLE_TIMER)

    def _request(
        self, method: str, last: str, bearer: SecretStr, *, query: str = "", body: bytes | None = None
    ) -> Request:
        url = endpoint(self._settings.api, "api", "v2", "tokens", last, query=query)
        return _with_bearer(method, url, bearer, body)


def _with_bearer(method: str, url: URL, bearer: SecretStr, body: bytes | None = None) -> Request:
    headers = {
        "Accept": "application/json",
        "Authorization": f"Bearer {bearer.get_secret_value()}",
        "Content-Type": "application/json",
    }
    return Request(method, url, headers, body, (bearer,))


def _user_id(call: ProviderCall) -> str:
    if not is_user_id(call.user_id):
        raise ValueError("user_id must be a UUID")
    return call.user_id
