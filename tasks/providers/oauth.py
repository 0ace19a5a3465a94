"""The worker's own credential as an OAuth client (RFC 6749): logged in once, renewed early, shared by all calls."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from pydantic import SecretStr
from yarl import URL

from tasks.outcome import CredentialFault, Reason, Transient
from tasks.providers.answers import Answer, StatusMeaning, status_table
from tasks.providers.http import Edge, Purpose
from tasks.providers.kind import is_sendable
from tasks.providers.provider import Request

# RFC 6749 section 5.2: invalid_client and its siblings come as 400 or 401. Whatever else refuses a login for good is
# ours to mend too, and no call's fault: all calls are kept until it is.
LOGIN: Final = status_table(
    {status: StatusMeaning.FAULT for status, meaning in status_table().items() if meaning is StatusMeaning.DEAD}
)
LOGGED_IN: Final = "logged in"  # evidence of a check that bought a token
_SHORTEST_LIFE: Final = 300.0  # seconds; Genesys Cloud's lower bound, assumed where the answer names no life
_LONGEST_LIFE: Final = 366 * 86_400.0  # seconds; far above any vendor's: what claims more cannot be read
_EARLIEST: Final = 300.0  # seconds before its end that a token is renewed, at most; a tenth of a shorter life
_FORBIDDEN: Final = 403


@dataclass(frozen=True, slots=True)
class _Token:
    bearer: SecretStr
    renew_at: float  # on the event loop's clock


def client_credentials(url: URL, client_id: str, secret: SecretStr, scope: str = "") -> Request:
    """Return the login of grant type client credentials (RFC 6749 section 4.4); the pair goes un-url-encoded."""
    pair = base64.b64encode(f"{client_id}:{secret.get_secret_value()}".encode()).decode()
    headers = {
        "Accept": "application/json",
        "Authorization": f"Basic {pair}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    form = urlencode({"grant_type": "client_credentials", **({"scope": scope} if scope else {})}).encode()
    return Request("POST", url, headers, form, (secret, SecretStr(pair)))


class Login:
    """Gives out the worker's bearer token. One login at a time; calls that waited for it share its result."""

    def __init__(self, edge: Edge, request: Callable[[], Request]) -> None:
        self._edge = edge
        self._request = request
        self._lock = asyncio.Lock()
        self._logins = 0
        self._last: _Token | Transient | CredentialFault | None = None

    async def send(
        self,
        build: Callable[[SecretStr], Request],
        deadline: float,
        refuses_bearer: Callable[[Answer], bool],
        purpose: Purpose = "revocation",
    ) -> Answer | Transient | CredentialFault:
        """Return the answer to a request with the bearer token; a refused token gets one renewal and one repetition."""
        bearer = await self.bearer(deadline)
        if not isinstance(bearer, SecretStr):
            return bearer
        answer = await self._edge.send(build(bearer), deadline, purpose)
        if isinstance(answer, Transient) or not refuses_bearer(answer):
            return answer
        renewed = await self.bearer(deadline, refused=bearer)
        return await self._edge.send(build(renewed), deadline, purpose) if isinstance(renewed, SecretStr) else renewed

    async def bearer(
        self, deadline: float, refused: SecretStr | None = None
    ) -> SecretStr | Transient | CredentialFault:
        """Return a bearer token other than *refused*, which the API answered with 401; or why there is none."""
        last = self._last
        if isinstance(last, _Token) and last.bearer != refused and asyncio.get_running_loop().time() < last.renew_at:
            return last.bearer
        return await self.renewed(deadline)

    async def renewed(self, deadline: float) -> SecretStr | Transient | CredentialFault:
        """Return the bearer token of a login that ends after now: a new one, or the one under way."""
        seen = self._logins
        try:
            async with asyncio.timeout_at(deadline), self._lock:
                if self._last is None or self._logins == seen:
                    self._last = await self._log_in(deadline)
                    self._logins += 1
                return self._last.bearer if isinstance(self._last, _Token) else self._last
        except TimeoutError:
            return Transient(Reason.NET_TIMEOUT)

    async def _log_in(self, deadline: float) -> _Token | Transient | CredentialFault:
        answer = await self._edge.send(self._request(), deadline, "login")
        if isinstance(answer, Transient):
            return answer
        if answer.is_success:
            return _granted(answer) or answer.bad_reply({"during": "login"})
        return _refused(answer)


def _granted(answer: Answer) -> _Token | None:
    members = answer.members()
    token = members.get("access_token")
    if not isinstance(token, str) or not is_sendable(SecretStr(token)):
        return None
    life = _life(members.get("expires_in"))
    renew_at = asyncio.get_running_loop().time() + life - min(_EARLIEST, life / 10)
    return _Token(SecretStr(token), renew_at)


def _life(expires_in: object) -> float:
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return _SHORTEST_LIFE
    return float(expires_in) if 0 < expires_in < _LONGEST_LIFE else _SHORTEST_LIFE


def _refused(answer: Answer) -> Transient | CredentialFault:
    detail = answer.detail({"during": "login", "error": answer.members().get("error")})
    if LOGIN.get(answer.status, StatusMeaning.RETRY) is StatusMeaning.RETRY:
        return Transient(answer.reason, answer.retry_after, detail)
    # Whatever the status, the login is refused: a 404 here is no unknown user, a 3xx no outage.
    return CredentialFault(Reason.AUTH_FORBIDDEN if answer.status == _FORBIDDEN else Reason.AUTH_UNAUTHORIZED, detail)
