"""One configured door: what a request at it goes through, until its answer."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from aiohttp import web
from joserfc.jwk import KeySet
from sqlalchemy import Connection

from tasks.doors import AccountAdapter, Adapter, Answer, Arrival, ForeignEvent, SignalAdapter, Verdict, Word
from tasks.doors.settings import CommonDoorSettings
from tasks.events import InvalidEvent
from worker.database.cipher import RowCipher
from worker.doors.accounts import DoorAccounts
from worker.doors.delivery import RETRY_AFTER, Delivery, NotSafe
from worker.doors.issuer_keys import IssuerKeys
from worker.doors.limits import Limits, Refused, read_body
from worker.doors.outbox import OutgoingEvent
from worker.doors.proofs import Proofs
from worker.doors.signals import DoorSignals
from worker.doors.sweeping.cursors import want_look
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
    adapter: Adapter | AccountAdapter | SignalAdapter
    proofs: Proofs
    limits: Limits
    keys: IssuerKeys | None
    delivery: Delivery
    cipher: RowCipher

    async def answer(self, request: web.Request) -> web.Response:
        """Answer *request*: with 2xx only once every event of it is safe."""
        started = time.monotonic()
        try:
            with self.limits.place():
                verdict = await self._settled(await self._arrival(request))
        except Refused as refused:
            verdict = self._refusal(refused.word)
        if verdict.word is Word.UNPROVED:
            self.limits.give_back()
        self._note(verdict, started)
        return _response(verdict)

    async def take(self, body: bytes) -> bool:
        """Take a message of the broker as the request that it would be; return whether every event of it is safe."""
        started, arrival = time.monotonic(), Arrival("POST", "", "", {}, body, datetime.now(UTC))
        is_short = len(body) <= self.settings.max_body
        try:
            verdict = await self._settled(arrival) if is_short else self._refusal(Word.TOO_LARGE)
        except Refused as refused:
            verdict = self._refusal(refused.word)
        self._note(verdict, started)
        return verdict.word is not Word.UNAVAILABLE

    def _note(self, verdict: Verdict, started: float) -> None:
        metrics.DOOR_REQUESTS.add(self.name, verdict.word)
        about = {"door": self.name, "word": verdict.word.value, "events": [each.event_id for each in verdict.events]}
        logger.info("door.answered", extra={**about, "duration_ms": round(1000 * (time.monotonic() - started))})

    async def _arrival(self, request: web.Request) -> Arrival:
        """Return *request*, whole and proved. Raises Refused."""
        if not self.proofs.hold_of_head(request):
            raise Refused(Word.UNPROVED)
        try:
            body = await asyncio.wait_for(read_body(request, self.settings.max_body), self.settings.timeout)
        except TimeoutError:
            raise Refused(Word.TOO_SLOW) from None
        if not self.proofs.hold_of_body(request, body):
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
        try:
            match self.adapter:
                case SignalAdapter() as adapter:
                    return await self._signalled(adapter, arrival)
                case AccountAdapter() as adapter:
                    return await self._transacted(adapter, arrival)
                case adapter:
                    return await self._secured(adapter, arrival)
        except NotSafe:
            raise Refused(Word.UNAVAILABLE) from None

    async def _secured(self, adapter: Adapter, arrival: Arrival) -> Verdict:
        verdict = adapter.judge(arrival)
        if verdict.wants_keys:
            verdict = adapter.judge(replace(arrival, keys=await self._keys(anew=True)))
        events = self._outgoing(verdict, arrival)
        await self.delivery.secure(events)
        if verdict.looks:
            await self.delivery.transact(self._wanting)
        return _whole(verdict, events)

    def _wanting(self, connection: Connection) -> tuple[None, tuple[OutgoingEvent, ...]]:
        """Have the source looked at: as safe as an event would be."""
        want_look(connection, self.name)
        return None, ()

    async def _transacted(self, adapter: AccountAdapter, arrival: Arrival) -> Verdict:
        """Judge in the transaction that keeps both the accounts as they are then and the events."""

        def judged(connection: Connection) -> tuple[Verdict, list[OutgoingEvent]]:
            verdict = adapter.judge(arrival, DoorAccounts(connection, self.cipher, self.name))
            events = self._outgoing(verdict, arrival)
            return _whole(verdict, events), events

        if adapter.changes(arrival):
            return await self.delivery.transact(judged)
        return await self.delivery.read(lambda connection: judged(connection)[0])

    async def _signalled(self, adapter: SignalAdapter, arrival: Arrival) -> Verdict:
        """Judge in the transaction that keeps the signals as they are then."""

        def judged(connection: Connection) -> tuple[Verdict, tuple[OutgoingEvent, ...]]:
            return adapter.judge(arrival, DoorSignals(connection, self.cipher, self.name)), ()

        return await self.delivery.transact(judged)

    def _outgoing(self, verdict: Verdict, arrival: Arrival) -> list[OutgoingEvent]:
        """Return the events of *verdict*, but for those that the intake would take for none."""
        events = (each for each in verdict.events if not self._is_invalid(each, arrival.at))
        return [OutgoingEvent(self.name, each.type, each.body(self.source)) for each in events]

    def _is_invalid(self, event: ForeignEvent, now: datetime) -> bool:
        """Whether the intake would take *event* for none: its sender hears it now, and an operator need not."""
        parsed = event.parsed(self.source, now)
        if isinstance(parsed, InvalidEvent):
            logger.warning("door.no_event", extra={"door": self.name, "code": parsed.code.value, "at": parsed.pointer})
        return isinstance(parsed, InvalidEvent)

    def _refusal(self, word: Word) -> Verdict:
        answer = self.adapter.refuse(word)
        if word in _LATER:
            answer = replace(answer, headers={**answer.headers, "Retry-After": str(RETRY_AFTER)})
        return Verdict(answer, word)


def _whole(verdict: Verdict, events: Sequence[OutgoingEvent]) -> Verdict:
    """Return *verdict* where *events* are all that it tells. Raises Refused: no sender may take the others for told."""
    if len(events) < len(verdict.events):
        raise Refused(Word.MALFORMED)
    return verdict


def _response(verdict: Verdict) -> web.Response:
    answer: Answer = verdict.answer
    return web.Response(
        status=answer.status, body=answer.body or None, headers={**answer.headers, "Cache-Control": "no-store"}
    )
