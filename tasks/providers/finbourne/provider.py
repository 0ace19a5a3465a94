"""Finbourne (LUSID) identity: revoke one session with its own token. A user cannot be revoked by id."""

from collections.abc import Mapping
from typing import Final

import aiohttp
from pydantic import SecretStr

from tasks.call import ProviderCall
from tasks.outcome import Outcome, Transient
from tasks.providers import contradictions, headers
from tasks.providers.answers import Answer, StatusMeaning, status_table
from tasks.providers.finbourne.kind import INVALIDATE_TOKEN, FinbourneSettings
from tasks.providers.http import Edge
from tasks.providers.provider import MASK, Request, endpoint, open_sealed
from tasks.sealing import Unsealer

# The vendor documents 204 and "error" (www.lusid.com/identity/swagger, InvalidateToken). A 401 is looked into first.
_UNAUTHORIZED: Final = 401
TOKENS: Final = status_table({_UNAUTHORIZED: StatusMeaning.DOUBTED, 409: StatusMeaning.RETRY}, success={204})


class Finbourne:
    """One LUSID domain's identity API."""

    def __init__(
        self, name: str, settings: FinbourneSettings, session: aiohttp.ClientSession, unsealer: Unsealer
    ) -> None:
        self.name = name
        self._settings = settings
        self._unsealer = unsealer
        self._edge = Edge(session, settings.timeout)

    async def execute(self, call: ProviderCall) -> Outcome:
        """Make *call* once. Raises ValueError for an operation of another kind."""
        _require(call)
        token = open_sealed(self._unsealer, call, self.name)
        if not isinstance(token, SecretStr):
            return token
        answer = await self._edge.send(self._delete_tokens(token), self._edge.deadline())
        return answer if isinstance(answer, Transient) else meaning(answer)

    def preview(self, call: ProviderCall) -> Request:
        """Return the very request `execute` would send, masked. Raises ValueError for an operation of another kind."""
        _require(call)
        return self._delete_tokens(MASK)

    async def check(self) -> Outcome:
        """Whether the provider can be reached: the worker has no credential there."""
        request = Request("HEAD", endpoint(self._settings.api), {"Accept": "application/json"})
        answer = await self._edge.send(request, self._edge.deadline())
        return answer if isinstance(answer, Transient) else answer.reachability_outcome()

    def _delete_tokens(self, bearer: SecretStr) -> Request:
        application = self._settings.application
        headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {bearer.get_secret_value()}",
            **({"X-LUSID-Application": application} if application else {}),
        }
        return Request("DELETE", endpoint(self._settings.api, "api", "tokens"), headers, None, (bearer,))


def meaning(answer: Answer) -> Outcome:
    """Return the outcome of an InvalidateToken, with the names of LusidProblemDetails as detail."""
    members = answer.members()
    named = {name: members.get(name) for name in ("name", "code", "instance")}
    fields = {**named, "challenge": (headers.bearer_challenge(answer.headers) or {}).get("error")}
    if _knows_the_token_for_dead(answer):
        return answer.outcome(StatusMeaning.ALREADY_REVOKED, fields, "401 invalid_token")
    return answer.outcome(TOKENS.get(answer.status, StatusMeaning.RETRY), fields)


def _knows_the_token_for_dead(answer: Answer) -> bool:
    """Whether a 401 is the vendor's word about this very token.

    The challenge must say so (RFC 6750 section 3.1); a body, if there is one, must be LusidProblemDetails that speak
    of nothing else. A gateway's page, a gateway that takes the token off, an API that does not know who issued the
    token: all of them answer 401 to a token that lives.
    """
    if answer.status != _UNAUTHORIZED or not headers.names_dead_token(answer.headers):
        return False
    return answer.is_blank or _is_problem(answer.document())


def _is_problem(members: Mapping[str, object]) -> bool:
    named = bool(members.get("name")) and isinstance(members["name"], str) and type(members.get("code")) is int
    elsewhere = any(map(headers.speaks_of_another_place, contradictions.texts_in(members)))
    has_status = type(members.get("status", _UNAUTHORIZED)) is int
    return named and has_status and not elsewhere and not contradictions.other_status(members, _UNAUTHORIZED)


def _require(call: ProviderCall) -> None:
    if call.operation != INVALIDATE_TOKEN:
        raise ValueError(f"{call.operation} is no operation of Finbourne")
