"""A receiver of shared signals: it is pushed a signed token for each user that is to be out (RFC 8935)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from pydantic import SecretStr
from yarl import URL

from tasks.call import ProviderCall
from tasks.outcome import Outcome, Permanent, Reason, Settled, State, Transient
from tasks.providers.answers import Answer, StatusMeaning, status_table
from tasks.providers.http import Edge
from tasks.providers.provider import MASK, Request
from tasks.providers.ssf.kind import SIGNAL_USER, SsfSettings
from tasks.providers.ssf.tokens import SetSigner, claims_of
from tasks.sealing import Unsealer

TOLD: Final = "what the receiver does not end"
PUSH: Final = status_table({401: StatusMeaning.FAULT, 403: StatusMeaning.FAULT}, success={202})
_BAD_REQUEST: Final = 400
# The codes of a 400 (RFC 8935, section 2.4). A key that it does not know yet, it may know soon; where it does not
# believe that it is us, every other signal would be refused, too.
_CODES: Final = {
    "invalid_key": StatusMeaning.RETRY,
    "authentication_failed": StatusMeaning.FAULT,
    "access_denied": StatusMeaning.FAULT,
}


class Ssf:
    """One receiver."""

    def __init__(self, name: str, settings: SsfSettings, session: aiohttp.ClientSession, _: Unsealer) -> None:
        self.name = name
        self._settings = settings
        self._signer = SetSigner(settings.signing_key, settings.key_id)
        self._edge = Edge(session, settings.timeout)

    async def execute(self, call: ProviderCall) -> Outcome:
        """Tell the receiver of the user of *call*. Raises ValueError for an operation of another kind."""
        if not _user_id(call):
            return Permanent(Reason.ROUTE_UNRESOLVABLE, {"missing": "user_id"})
        token = self._signer.signed(claims_of(self._settings, call, datetime.now(UTC)))
        answer = await self._edge.send(self._push(token, self._settings.access_token), self._edge.deadline())
        return answer if isinstance(answer, Transient) else _meaning(answer)

    def preview(self, call: ProviderCall) -> Request:
        """Return the very request `execute` would send, without its signature. Raises ValueError for bad input."""
        if not _user_id(call):
            raise ValueError("the call names no user")
        token = self._signer.signed(claims_of(self._settings, call, datetime.now(UTC)))
        unsigned = f"{token.rpartition('.')[0]}.{MASK.get_secret_value()}"
        return self._push(unsigned, MASK if self._settings.access_token else None)

    async def check(self) -> Outcome:
        """Whether the receiver can be reached. Whether it believes us only a signal tells."""
        answer = await self._edge.send(Request("HEAD", self._url, {}), self._edge.deadline())
        return answer if isinstance(answer, Transient) else answer.reachability_outcome()

    @property
    def public_key(self) -> Mapping[str, Any]:
        """The public half of the key that signs, as a JWK: what the receiver must read."""
        return self._signer.public

    @property
    def _url(self) -> URL:
        return URL(self._settings.receiver_url, encoded=True)

    def _push(self, token: str, bearer: SecretStr | None) -> Request:
        headers = {"Content-Type": "application/secevent+jwt", "Accept": "application/json"}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer.get_secret_value()}"
        return Request("POST", self._url, headers, token.encode(), (bearer,) if bearer else ())


def _user_id(call: ProviderCall) -> str | None:
    if call.operation != SIGNAL_USER:
        raise ValueError(f"{call.operation} is no operation of a receiver of signals")
    return call.user_id


def _meaning(answer: Answer) -> Outcome:
    """Accepted is the most that a receiver says: what it ends, and when, is its own affair."""
    code = answer.members().get("err")
    meaning = PUSH.get(answer.status, StatusMeaning.RETRY)
    if answer.status == _BAD_REQUEST and isinstance(code, str):
        meaning = _CODES.get(code, meaning)
    if meaning is StatusMeaning.ACCEPTED:
        return Settled(State.ACCEPTED, str(answer.status), {**answer.detail({}), "partial": TOLD})
    return answer.outcome(meaning, {"err": code})
