"""What revocation tasks run on: the providers, the holds, the publisher. One per worker process, on one event loop."""

import asyncio
import json
import logging
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from tasks import records
from tasks.call import ProviderCall
from tasks.outcome import COVERING, Outcome, Permanent, Reason, Settled, State, Transient
from tasks.providers import kind_of
from tasks.providers.provider import Provider
from tasks.records import DeadLetter
from tasks.retry import RetryPolicy
from tasks.runtime import Held
from tasks.sealing import KeyRing, SealError, load_keys
from worker import broker
from worker.broker import messages, topology
from worker.broker.async_publisher import AsyncPublisher, ThreadPublisher
from worker.broker.provenance import ProvenanceMac
from worker.broker.publication import Message, PublishError, Refused, Unroutable
from worker.broker.publisher import Publisher
from worker.calls import attempts, exposure
from worker.calls.coverage import Coverage
from worker.calls.doubt import Doubts
from worker.calls.enabled import EnabledUsers
from worker.calls.holds.hold import HoldLimits
from worker.calls.holds.policy import CircuitBreakers
from worker.calls.key_uses import KeyUses
from worker.calls.prefetch import Prefetch
from worker.calls.providers import Instances
from worker.calls.rate_limits import RateLimits
from worker.calls.rate_limits.wait_queue import HELD_FOR_SOURCE
from worker.calls.reload import SecretsWatch
from worker.calls.traced_publisher import open_retrying
from worker.database.thread import DatabaseThread
from worker.observability import metrics, tracing
from worker.settings import Settings, SettingsError

logger = logging.getLogger(__name__)

RECORD_DELAY: Final = 20  # seconds until a record that no queue took is published again


class WorkerRuntime:
    """The worker's side of `tasks.runtime.Runtime`. Raises SettingsError where the sealing keys cannot be read."""

    def __init__(self, settings: Settings) -> None:
        self.policy: RetryPolicy = settings.retry
        self._settings = settings
        self._mac = ProvenanceMac.of(settings)
        self._thread = DatabaseThread(settings.ledger_url.get_secret_value())
        self.holds = CircuitBreakers(HoldLimits.of(settings), self._thread)
        self._limits, self._prefetch = RateLimits(settings, self._thread), Prefetch(settings.worker, settings.providers)
        self._coverage = Coverage(time.monotonic)
        self._enabled = EnabledUsers(self._thread)
        self._ring = _open_keys(settings)
        self._providers = Instances(settings, self._ring, self.holds.credential_changed)
        self._doubts = Doubts()
        self._spans = tracing.spans()
        self._resources = AsyncExitStack()

    async def open(self) -> None:
        """Open sessions and connections; must run on the event loop that the calls will run on."""
        self._resources.callback(self._thread.close)
        await self._providers.open()
        self._resources.push_async_callback(self._providers.close)
        self._publisher = open_retrying(self._open_publisher(), self._prefetch.of_queue)
        self._resources.push_async_callback(self._publisher.close)
        await asyncio.gather(self.holds.start(), self._enabled.start())
        self._resources.push_async_callback(self.holds.stop)
        self._in_background(self._enabled.keep())
        self._limits.open()
        self._resources.push_async_callback(self._limits.close)
        uses = KeyUses(self._ring, self._thread)
        self._resources.push_async_callback(uses.close)
        self._in_background(uses.keep())
        watch = SecretsWatch(self._settings.keys_dir, self._ring, self._providers.take_up, self._providers.files)
        self._in_background(watch.keep())

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        self._resources.callback(asyncio.create_task(work).cancel)

    def _open_publisher(self) -> ThreadPublisher | AsyncPublisher:
        connect = broker.connector(self._settings)
        if broker.is_embedded(self._settings.broker_url.get_secret_value()):
            return ThreadPublisher(Publisher(connect))
        return AsyncPublisher(connect)

    async def close(self) -> None:
        """Close what was opened, the last first."""
        await self._resources.aclose()

    def cancel_pending(self) -> None:
        """Let no call wait any more, for a permit or for a queue that is full: the worker stops."""
        self._limits.stop()
        self._publisher.stop()

    def now(self) -> datetime:
        """The time, aware and in UTC."""
        return datetime.now(UTC)

    async def execute(self, call: ProviderCall) -> Settled | Transient | Permanent | Held:
        """Make *call* at its provider once, unless it is held, superseded or another call stands for it.

        Raises GivenBack where the worker stops while the call waits for its permit.
        """
        provider = self._providers.get(call.provider)
        if provider is None:
            return Permanent(Reason.ROUTE_UNKNOWN_PROVIDER)
        if known := self._enabled.known_of(call) or self._coverage.known_of(call):
            return known
        with self._coverage.asking(call):
            return await self._make_permitted(call, provider)

    async def _make_permitted(self, call: ProviderCall, provider: Provider) -> Settled | Transient | Permanent | Held:
        own_credential = kind_of(self._settings.providers[call.provider]).uses_own_credential(call.operation)
        if held := self.holds.waits(call, own_credential=own_credential):
            return held
        limiter = self._limits.of(call)
        places = self._prefetch.of_queue(topology.calls_queue_name(call.provider, call.lane))
        if limiter and (wait := limiter.put_back(call.lane, call.source, places)):
            return Held(HELD_FOR_SOURCE, wait)
        permit = await limiter.permit(call.lane, call.source) if limiter else None
        if limiter and (superseded := self._enabled.known_of(call)):  # since it waits for its permit
            limiter.release(permit)
            return superseded
        verdict = await self.holds.attempt(call, partial(self._make, provider, call), own_credential=own_credential)
        if limiter and isinstance(verdict, Held) and not verdict.tried:
            limiter.release(permit)
        return verdict

    async def _make(self, provider: Provider, call: ProviderCall) -> Outcome:
        sent = self._coverage.sending(self.now())
        outcome = await attempts.make(provider, call)
        self._coverage.learn(call, outcome, sent)
        return outcome

    async def settle(self, call: ProviderCall, outcome: Settled) -> None:
        """Record that *call* reached its goal; the sessions it stood for died with it, or get calls of their own."""
        outcome = self._doubts.observe(call, outcome, self.now())
        self._trace(outcome.state)
        detail = {"evidence": outcome.evidence, **outcome.detail}
        at = call.known.at if call.known else self.now()
        fields: dict[str, Any] = {"duration_ms": attempts.took(), "detail": detail}
        record = records.outcome_of_call(call, outcome.state, at, call.attempt, **fields)
        if outcome.state not in COVERING:
            await self._publisher.publish(*_alone(call), of=call)
            call = call.alone()
        try:
            await self._publisher.publish(*map(messages.record, [record, *records.covered_by(call, record)]), of=call)
        except (Refused, Unroutable):  # enough others ask again: the record comes later, and no second call
            await self._publisher.publish(messages.call(call.knowing(outcome, record.at), delay=RECORD_DELAY))
            return
        exposure.observe(record, self._settings.exposure.within)

    async def begin(self, call: ProviderCall, parts: Sequence[ProviderCall]) -> None:
        """Publish *parts*, the calls for items of the list that *call* asked for, and that they are planned."""
        now = self.now()
        planned = (records.outcome_of_call(each, State.PLANNED, now, 0) for each in parts)
        await self._publisher.publish(*map(messages.call, parts), *map(messages.record, planned), of=call)

    async def retry(self, call: ProviderCall, delay: int) -> None:
        """Have the broker bring *call*, its last attempt behind it, back after *delay* whole seconds."""
        last = call.attempts[-1]
        await self._bring_back(call, State.RETRYING, delay, reason=last.reason, detail=last.detail)
        metrics.RETRIES.add(call.provider, last.reason)

    async def hold(self, call: ProviderCall, held: Held) -> None:
        """Have the broker bring *call* back later, unattempted."""
        await self._bring_back(call, State.HELD, held.delay, reason=held.reason)

    async def _bring_back(self, call: ProviderCall, state: State, delay: int, **fields: Any) -> None:  # noqa: ANN401 - as its fields
        """Without a record, if need be: with the call on its way a failure here would only double it."""
        now = self.now()
        self._trace(state, fields["reason"])
        fields |= {"duration_ms": attempts.took(), "next_attempt_at": now + timedelta(seconds=delay) if delay else None}
        record = records.outcome_of_call(call, state, now, len(call.attempts), **fields)
        await self._publisher.publish(messages.call(call, delay=delay), of=call)
        with suppress(PublishError):  # the publisher has logged it, and the next record of the call makes up for it
            await self._publisher.publish(messages.record(record))

    async def dead_letter(self, call: ProviderCall, reason: str, detail: Mapping[str, str]) -> None:
        """Give *call* up, for people to see; the sessions it stood for get calls of their own."""
        self._trace(State.DEAD, reason)
        letter = records.dead_letter_of_call(call.alone(), reason, self.now(), dict(detail))
        signed = messages.dead_letter(self._mac.letters.sign(letter))
        await self._publisher.publish(signed, *_alone(call), of=call)

    def _trace(self, state: State, reason: str | None = None) -> None:
        if self._spans:
            self._spans.came_to(state, reason)

    async def dead_letter_message(self, letter: DeadLetter) -> None:
        """Publish *letter* of what is no call; returns once the broker confirmed it, else raises `PublishError`."""
        await self._publisher.publish(messages.dead_letter(letter))

    async def publish_event(self, document: Mapping[str, object]) -> None:
        """Hand an event that came through the door to the intake."""
        body, kind = json.dumps(document).encode(), str(document.get("type", "unknown"))
        headers = {messages.DOOR: messages.CELERY_DOOR}
        await self._publisher.publish(self._mac.sign(messages.event(body, kind, headers=headers)))


def _alone(call: ProviderCall) -> list[Message]:
    """The calls for the sessions that *call* stood for: confirmed before its own message is, so none is ever lost."""
    return [messages.call(each) for each in call.covers]


def _open_keys(settings: Settings) -> KeyRing:
    try:
        return load_keys(settings.keys_dir)
    except (SealError, OSError) as error:
        raise SettingsError(f"keys_dir: {error}; `revoker keys generate` makes a key") from None
