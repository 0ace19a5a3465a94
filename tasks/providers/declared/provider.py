"""The client of a declared provider: it does what its table says, once, and reads the answer by the table's rows."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import aiohttp
from pydantic import SecretStr
from yarl import URL

from tasks.call import ProviderCall
from tasks.outcome import CredentialFault, Listed, Outcome, Permanent, Reason, Settled, State, Transient
from tasks.providers import headers
from tasks.providers.answers import Answer
from tasks.providers.declared.calls import ListCall, StatusCall, exchanges_of
from tasks.providers.declared.credentials import Borne, bearing, bearing_of
from tasks.providers.declared.jobs import JOB, job_of
from tasks.providers.declared.kind import REVOKE_LISTED, HttpSettings
from tasks.providers.declared.lists import MAX_ITEMS, MAX_PAGE, MAX_PAGES, BadListError, as_object, items_of
from tasks.providers.declared.outcomes import Conditions, Meaning, Reader, at, knows_dead
from tasks.providers.declared.pages import next_page
from tasks.providers.declared.requests import page_of, proof_of, request_of
from tasks.providers.declared.steps import NotAdmittedError, Step, Whom, step_of
from tasks.providers.http import BODY_CAP, Edge
from tasks.providers.oauth import LOGGED_IN
from tasks.providers.provider import MASK, Request, open_sealed
from tasks.sealing import Unsealer

_FACTORS: Final = {"seconds": 1.0, "milliseconds": 1e-3, "epoch": 1.0}
FIRST_LOOK: Final = 0.25  # of a call's time is for the probe before it, at most: the revocation does not wait for more
_Sent = Answer | Transient | CredentialFault


class Declared:
    """One instance of a declared provider."""

    def __init__(self, name: str, settings: HttpSettings, session: aiohttp.ClientSession, unsealer: Unsealer) -> None:
        self.name = name
        self._settings, self._unsealer = settings, unsealer
        lists = settings.user is not None and settings.user.list_ is not None
        self._edge = Edge(session, settings.timeout, MAX_PAGE if lists else BODY_CAP)
        self._own = bearing_of(settings.auth, self._edge)
        self._readers = {
            f"{place}{name}": Reader(asked.outcomes, asked.default, own_credential=settings.is_own(call))
            for place, call in settings.calls.items()
            for name, asked in exchanges_of(call).items()
        }

    async def execute(self, call: ProviderCall) -> Outcome:
        """Do what *call* needs now. Raises ValueError for an operation that the table does not have."""
        try:
            step = step_of(self._settings, call)
        except NotAdmittedError as error:
            return Permanent(Reason.ROUTE_UNRESOLVABLE, {"invalid": str(error)})
        whom = self._whom(step, call)
        if not isinstance(whom, Whom):
            return whom
        deadline = self._edge.deadline()
        if isinstance(step.asked, ListCall):
            return await self._left(step, step.asked, whom, deadline, is_first=not call.listed)
        was_alive = await self._was_alive(step, whom, deadline)
        answer = await self._send(step, whom, deadline)
        if not isinstance(answer, Answer):
            return _keeping(step, answer)
        outcome = self._outcome(step, answer)
        if isinstance(outcome, Settled) and outcome.state is State.ACCEPTED:
            return await self._proved(step, whom, outcome, deadline, was_alive=was_alive)
        return outcome

    def preview(self, call: ProviderCall) -> Request:
        """Return the very request `execute` would send, masked. Raises ValueError for bad input or operation."""
        step = step_of(self._settings, call)
        whom = Whom(step.values, MASK if step.takes_token else None)
        return self._request(step, whom, bearing(MASK) if step.bears_token else self._own.masked())

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

    def _whom(self, step: Step, call: ProviderCall) -> Whom | Permanent | Transient:
        if not step.takes_token:
            return Whom(step.values)
        token = open_sealed(self._unsealer, call, self.name)
        return Whom(step.values, token) if isinstance(token, SecretStr) else token

    async def _send(self, step: Step, whom: Whom, deadline: float, page: URL | None = None) -> _Sent:
        def build(borne: Borne) -> Request:
            request = self._request(step, whom, borne)
            return page_of(request, page) if page else request

        if whom.token is not None and step.bears_token:
            return await self._edge.send(build(bearing(whom.token)), deadline)
        return await self._own.send(build, deadline, self._readers[step.place].refuses_credential)

    def _request(self, step: Step, whom: Whom, borne: Borne) -> Request:
        return request_of(self._settings.api, step, whom, borne)

    def _outcome(self, step: Step, answer: Answer) -> Outcome:
        """Return what *answer* comes to; of what is begun or under way its name is kept, by which it is asked about."""
        asked, reader = step.asked, self._readers[step.place]
        answer = _with_wait(answer, asked.retry_after)
        fields = fields_of(asked.details, answer)
        outcome = reader.outcome(answer, fields)
        if isinstance(asked, StatusCall):
            return outcome if reader.is_failed(answer) else _keeping(step, outcome)
        if step.call.status is None or reader.read(answer)[0] is not Meaning.BEGUN:
            return outcome
        job = job_of(step.call.status, answer)
        begun = Transient(Reason.PROVIDER_IN_PROGRESS, answer.retry_after, answer.detail({**fields, JOB: job}))
        return begun if JOB in begun.detail else answer.bad_reply(fields)

    async def _left(self, step: Step, asked: ListCall, whom: Whom, deadline: float, *, is_first: bool) -> Outcome:
        """Return what is left of the user's sessions: calls to be made, or the proof that there are none."""
        items: dict[str, None] = {}
        page: URL | None = None
        for number in range(1, MAX_PAGES + 1):
            answer = await self._send(step, whom, deadline, page)
            if not isinstance(answer, Answer):
                return answer
            answer = as_object(answer)
            outcome = self._outcome(step, answer)
            if not (isinstance(outcome, Settled) and outcome.state is State.ACCEPTED):
                return outcome
            try:
                items |= dict.fromkeys(items_of(asked, answer))
                page = next_page(asked, answer, self._settings.api)
            except BadListError as error:
                return answer.bad_reply({"problem": error.problem})
            if page is None or len(items) >= MAX_ITEMS or (items and number == MAX_PAGES):
                return _listed(step, outcome, tuple(items)[:MAX_ITEMS], is_first=is_first)
        return Transient(Reason.PROVIDER_BAD_REPLY, None, {"problem": "endless_list"})

    async def _was_alive(self, step: Step, whom: Whom, deadline: float) -> bool:
        """Whether there is something to end, as far as the probe is asked that; it has a part of the time alone."""
        probe = step.call.probe
        if probe is None or not probe.alive or step.asked is not step.call:
            return True
        now = asyncio.get_running_loop().time()
        answer = await self._ask(proof_of(step), whom, now + (deadline - now) * FIRST_LOOK)
        return isinstance(answer, Answer) and any(row.fits(answer) for row in probe.alive)

    async def _proved(
        self, step: Step, whom: Whom, accepted: Settled, deadline: float, *, was_alive: bool
    ) -> Settled | Transient:
        """Return *accepted*, confirmed where the probe's answer is the proof; its evidence tells both.

        A server may answer so of a token that it does not show to us, or that is another client's: what was not alive
        before is not proved dead, and what is alive afterwards is not believed to be dead.
        """
        accepted, probe = _in_part(step, accepted), step.call.probe
        if probe is None:
            return accepted
        answer = await self._ask(proof_of(step), whom, deadline)
        if not isinstance(answer, Answer):
            return replace(accepted, evidence=f"{accepted.evidence}; probe {answer.reason}")
        if any(row.fits(answer) for row in probe.alive):
            return answer.bad_reply({"problem": "still_alive"})
        is_dead = was_alive and any(_proves(row, answer) for row in probe.dead)
        state = State.CONFIRMED if is_dead else State.ACCEPTED
        return Settled(state, f"{accepted.evidence}; probe {answer.status}", accepted.detail)

    async def _ask(self, step: Step, whom: Whom, deadline: float) -> _Sent:
        if whom.token is not None and step.bears_token:
            return await self._edge.send(self._request(step, whom, bearing(whom.token)), deadline, "proof")
        return await self._own.send(lambda borne: self._request(step, whom, borne), deadline, lambda _: False, "proof")


def _listed(step: Step, found: Settled, items: tuple[str, ...], *, is_first: bool) -> Outcome:
    """Return the calls to be made; of an empty list the proof, or at the first look that there was nothing to end."""
    if items:
        detail = {**found.detail, "left": str(len(items))}
        return Listed(Reason.PROVIDER_IN_PROGRESS, None, detail, REVOKE_LISTED, items)
    state = State.ALREADY_REVOKED if is_first else State.CONFIRMED
    empty = Settled(state, f"list {found.evidence}, empty", found.detail)
    return empty if is_first else _in_part(step, empty)


def _in_part(step: Step, settled: Settled) -> Settled:
    """Return *settled* with what lives on all the same."""
    partial = step.call.partial
    return replace(settled, detail={**settled.detail, "partial": partial}) if partial else settled


def _keeping(step: Step, outcome: Outcome) -> Outcome:
    """Return *outcome*; where what was begun is to be asked about again, with its name."""
    if step.job is None or not isinstance(outcome, Transient):
        return outcome
    return replace(outcome, detail={**outcome.detail, JOB: step.job})


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
