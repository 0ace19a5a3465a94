"""One configured door: what a request at it goes through, until its answer."""

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from aiohttp import web
from joserfc.jwk import KeySet

from tasks.doors import KINDS, Adapter, Answer, Arrival, ForeignEvent, Verdict, Word
from tasks.doors.door import CommonDoorSettings
from tasks.events import InvalidEvent
from worker.doors.delivery import RETRY_AFTER, Delivery, NotSafe
from worker.doors.issuer_keys import IssuerKeys
from worker.doors.limits import Limits, Refused, read_body
from worker.doors.outbox import OutgoingEvent
from worker.doors.proofs import Proofs
from worker.observability import metrics

logger = logging.getLogger(__name__)

BELOW: Final = "below"  # the part of a path that is below the door's own, in its route
_LATER: Final = frozenset({Word.TOO_MANY, Word.UNAVAILABLE})  # refusals of what may come again


@dataclass(frozen=True, slots=True)
class OpenDoor:
    """The door *name*, which speaks for *source*."""

    name: str
    source: str
    settings: CommonDoorSettings
    adapter: Adapter
    proofs: Proofs
    limits: Limits
    keys: IssuerKeys | None
    delivery: Delivery

    @classmethod
    def of(
        cls, name: str, source: str, settings: CommonDoorSettings, keys: IssuerKeys | None, delivery: Delivery
    ) -> "OpenDoor":
        """Return that of *settings*."""
        limits = Limits(settings.rate, settings.in_flight)
        adapter = KINDS[settings.kind].make(settings)
        return cls(name, source, settings, adapter, Proofs(settings), limits, keys, delivery)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer *request*: with 2xx only once every event of it is safe."""
        started = time.monotonic()
        try:
            with self.limits.place():
                verdict = await self._settled(await self._arrival(request))
        except Refused as refused:
            verdict = self._refusal(refused.word)
        metrics.DOOR_REQUESTS.add(self.name, verdict.word)
        about = {"door": self.name, "word": verdict.word.value, "events": [each.event_id for each in verdict.events]}
        logger.info("door.answered", extra={**about, "duration_ms": round(1000 * (time.monotonic() - started))})
        return _response(verdict)

    async def _arrival(self, request: web.Request) -> Arrival:
        """Return *request*, whole and proved. Raises Refused."""
        try:
            body = await asyncio.wait_for(read_body(request, self.settings.max_body), self.settings.timeout)
        except TimeoutError:
            raise Refused(Word.TOO_SLOW) from None
        if not self.proofs.hold(request, body):
            raise Refused(Word.UNPROVED)
        below = request.match_info.get(BELOW)
        path, query = "" if below is None else f"/{below}", request.rel_url.raw_query_string
        return Arrival(request.method, path, query, request.headers, body, datetime.now(UTC), await self._keys())

    async def _keys(self, *, anew: bool = False) -> KeySet | None:
        """Return the issuer's keys. Raises Refused where nobody can be believed, because they were never read."""
        if self.keys is None:
            return None
        keys = await self.keys.now(anew=anew)
        if keys is None:
            raise Refused(Word.UNAVAILABLE)
        return keys

    async def _settled(self, arrival: Arrival) -> Verdict:
        """Return the verdict on *arrival*, once its events are safe. Raises Refused where they are not."""
        verdict = self.adapter.judge(arrival)
        if verdict.wants_keys:
            verdict = self.adapter.judge(replace(arrival, keys=await self._keys(anew=True)))
        if any(self._is_invalid(each, arrival.at) for each in verdict.events):
            return self._refusal(Word.MALFORMED)
        try:
            await self.delivery.secure([self._outgoing(each) for each in verdict.events])
        except NotSafe:
            raise Refused(Word.UNAVAILABLE) from None
        return verdict

    def _is_invalid(self, event: ForeignEvent, now: datetime) -> bool:
        """Whether the intake would take *event* for none: its sender hears it now, and an operator need not."""
        parsed = event.parsed(self.source, now)
        if isinstance(parsed, InvalidEvent):
            logger.warning("door.no_event", extra={"door": self.name, "code": parsed.code.value, "at": parsed.pointer})
        return isinstance(parsed, InvalidEvent)

    def _outgoing(self, event: ForeignEvent) -> OutgoingEvent:
        return OutgoingEvent(self.name, event.type, event.body(self.source))

    def _refusal(self, word: Word) -> Verdict:
        answer = self.adapter.refuse(word)
        if word in _LATER:
            answer = replace(answer, headers={**answer.headers, "Retry-After": str(RETRY_AFTER)})
        return Verdict(answer, word)


def _response(verdict: Verdict) -> web.Response:
    answer: Answer = verdict.answer
    return web.Response(
        status=answer.status, body=answer.body or None, headers={**answer.headers, "Cache-Control": "no-store"}
    )
