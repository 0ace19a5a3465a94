"""The client of a declared provider: it does what its table says, once, and reads the answer by the table's rows."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import aiohttp
from pydantic import SecretStr
from yarl import URL

from tasks.call import ProviderCall
from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, State, Transient
from tasks.providers import headers
from tasks.providers.answers import Answer
from tasks.providers.declared.calls import SessionCall, UserCall
from tasks.providers.declared.credentials import Borne, bearing, bearing_of
from tasks.providers.declared.kind import REVOKE_SESSION, REVOKE_USER, HttpSettings
from tasks.providers.declared.outcomes import Conditions, Reader, at, knows_dead
from tasks.providers.declared.templates import encoded, filled, parsed
from tasks.providers.declared.user_ids import is_user_id
from tasks.providers.http import Edge
from tasks.providers.oauth import LOGGED_IN
from tasks.providers.provider import MASK, Request, endpoint, open_sealed
from tasks.sealing import Unsealer

_FACTORS: Final = {"seconds": 1.0, "milliseconds": 1e-3, "epoch": 1.0}


@dataclass(frozen=True, slots=True)
class Whom:
    """What a call is about: a user, a reference or a token."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: SecretStr | None = None


class Declared:
    """One instance of a declared provider."""

    def __init__(self, name: str, settings: HttpSettings, session: aiohttp.ClientSession, unsealer: Unsealer) -> None:
        self.name = name
        self._settings, self._unsealer = settings, unsealer
        self._edge = Edge(session, settings.timeout)
        self._own = bearing_of(settings.auth, self._edge)
        self._readers = {
            place: Reader(call.outcomes, call.default, own_credential=settings.is_own(call))
            for place, call in settings.calls.items()
        }

    async def execute(self, call: ProviderCall) -> Outcome:
        """Make *call* once. Raises ValueError for an operation of another kind, or one that the table leaves out."""
        place, described = self._described(call)
        whom = self._whom(described, call)
        if not isinstance(whom, Whom):
            return whom
        deadline, reader = self._edge.deadline(), self._readers[place]
        answer = await self._send(described, whom, deadline, reader)
        if not isinstance(answer, Answer):
            return answer
        outcome = reader.outcome(_with_wait(answer, described.retry_after), fields_of(described.details, answer))
        if isinstance(outcome, Settled) and outcome.state is State.ACCEPTED:
            return await self._proved(described, whom, outcome, deadline)
        return outcome

    def preview(self, call: ProviderCall) -> Request:
        """Return the very request `execute` would send, masked. Raises ValueError for bad input or operation."""
        _, described = self._described(call)
        whom = Whom(_values(described, call), MASK if _takes_token(described) else None)
        is_bearer = isinstance(described, SessionCall) and described.credential == "bearer"
        return self._request(described, whom, bearing(MASK) if is_bearer else self._own.masked())

    async def check(self) -> Outcome:
        """Log in anew where a token is bought, else find out whether the API can be reached. Revokes nothing."""
        deadline = self._edge.deadline()
        bought = await self._own.renewed(deadline)
        if isinstance(bought, SecretStr):
            return Settled(State.ACCEPTED, LOGGED_IN)
        if bought is not None:
            return bought
        answer = await self._edge.send(Request("HEAD", URL(f"{self._settings.api}/", encoded=True), {}), deadline)
        return answer if isinstance(answer, Transient) else answer.reachability_outcome()

    def _described(self, call: ProviderCall) -> tuple[str, SessionCall | UserCall]:
        place = {REVOKE_SESSION: "session", REVOKE_USER: "user"}.get(call.operation, "")
        if (described := self._settings.calls.get(place)) is None:
            raise ValueError(f"{call.operation} is no operation of {self.name}")
        return place, described

    def _whom(self, described: SessionCall | UserCall, call: ProviderCall) -> Whom | Permanent | Transient:
        try:
            values = _values(described, call)
        except ValueError:
            what = "user_id" if isinstance(described, UserCall) else "token_reference_id"
            return Permanent(Reason.ROUTE_UNRESOLVABLE, {"invalid": what})
        if not _takes_token(described):
            return Whom(values)
        token = open_sealed(self._unsealer, call, self.name)
        return Whom(values, token) if isinstance(token, SecretStr) else token

    async def _send(
        self, described: SessionCall | UserCall, whom: Whom, deadline: float, reader: Reader
    ) -> Answer | Transient | CredentialFault:
        if whom.token is not None and _is_bearer(described):
            return await self._edge.send(self._request(described, whom, bearing(whom.token)), deadline)
        return await self._own.send(
            lambda borne: self._request(described, whom, borne), deadline, reader.refuses_credential
        )

    async def _proved(
        self, described: SessionCall | UserCall, whom: Whom, accepted: Settled, deadline: float
    ) -> Settled:
        """Return *accepted*, confirmed where the probe's answer is the proof; its evidence tells both."""
        kept = {**accepted.detail, **({"partial": described.partial} if described.partial else {})}
        if described.probe is None:
            return replace(accepted, detail=kept)
        asked = described.model_copy(update={"request": described.probe.request})
        if parsed(asked.request).method in {"GET", "HEAD"}:
            asked = asked.model_copy(update={"json_": None, "form": {}})
        answer = await self._ask(asked, whom, deadline)
        told = str(answer.status) if isinstance(answer, Answer) else answer.reason
        is_dead = isinstance(answer, Answer) and any(_proves(row, answer) for row in described.probe.dead)
        state = State.CONFIRMED if is_dead else State.ACCEPTED
        return Settled(state, f"{accepted.evidence}; probe {told}", kept)

    async def _ask(
        self, asked: SessionCall | UserCall, whom: Whom, deadline: float
    ) -> Answer | Transient | CredentialFault:
        if whom.token is not None and _is_bearer(asked):
            return await self._edge.send(self._request(asked, whom, bearing(whom.token)), deadline, "proof")
        return await self._own.send(lambda borne: self._request(asked, whom, borne), deadline, lambda _: False)

    def _request(self, described: SessionCall | UserCall, whom: Whom, borne: Borne) -> Request:
        line = parsed(described.request)
        body: Any = filled(described.json_, whom.values) if described.json_ is not None else None
        form = {**described.form, **borne.form}
        if whom.token is not None and isinstance(described, SessionCall) and (member := described.member):
            if described.credential.startswith("form:"):
                form[member] = whom.token.get_secret_value()
            else:
                body = {**(body or {}), member: whom.token.get_secret_value()}
        content, content_type = encoded(body, form)
        sent = {"Accept": "application/json", **content_type, **described.headers, **borne.headers}
        token = (whom.token,) if whom.token is not None and whom.token not in borne.secrets else ()
        url = endpoint(self._settings.api, *(whom.values.get(each, each) for each in line.segments), query=line.query)
        return Request(line.method, url, sent, content, (*borne.secrets, *token))


def _is_bearer(described: SessionCall | UserCall) -> bool:
    return isinstance(described, SessionCall) and described.credential == "bearer"


def _takes_token(described: SessionCall | UserCall) -> bool:
    return isinstance(described, SessionCall) and described.credential != "reference"


def _values(described: SessionCall | UserCall, call: ProviderCall) -> Mapping[str, str]:
    """Return what stands for the placeholders. Raises ValueError where the call brings nothing that may."""
    if isinstance(described, UserCall):
        return {"{user_id}": _admitted("user_id", described.user_id, call.user_id)}
    if described.credential == "reference":
        return {"{reference}": _admitted("reference", described.reference or "", call.token_reference_id)}
    return {}


def _admitted(name: str, rule: str, value: str | None) -> str:
    if value is None or not is_user_id(rule, value):
        raise ValueError(f"{name} is not of the form that the provider's table allows")
    return value


def _proves(row: Conditions, answer: Answer) -> bool:
    """Whether *answer* is what *row* asks for; a 401 must be the vendor's own word about the token."""
    return row.fits(answer) and (answer.status != 401 or knows_dead(row, answer))  # noqa: PLR2004 - the number is the name


def fields_of(details: Mapping[str, str], answer: Answer) -> Mapping[str, object]:
    """Return the *details* of *answer*: members, headers, or the error of its challenge."""
    return {name: _field(where, answer) for name, where in details.items()}


def _field(where: str, answer: Answer) -> object:
    if where == "challenge":
        return (headers.bearer_challenge(answer.headers) or {}).get("error")
    kind, _, name = where.partition(":")
    return answer.headers.get(name) if kind == "header" and name else at(answer.members(), where)


def _with_wait(answer: Answer, asked: str | None) -> Answer:
    """Return *answer* with the vendor's own header as one more Retry-After."""
    name, _, form = (asked or "").partition(":")
    try:
        value = float(answer.headers[name]) if name in answer.headers else None
    except ValueError:
        value = None
    if value is None or not 0 <= value < 1e14:  # noqa: PLR2004 - beyond any date, in milliseconds
        return answer
    return replace(answer, wait=max(0.0, value * _FACTORS[form] - (time.time() if form == "epoch" else 0.0)))
