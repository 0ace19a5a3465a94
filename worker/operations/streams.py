"""The streams of a transmitter of shared signals, as the door that receives them manages them."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import SecretStr

from tasks.doors.pull import PullFailed
from tasks.doors.security_event_tokens import Settings as Receiver
from tasks.doors.streams import Status, Stream, Streams
from tasks.doors.swept import endpoint_fault
from tasks.providers.http import Edge, open_session
from worker.ledger import BEGUN, AuditEntry, Ledger, Operator
from worker.operations import RefusedRequest
from worker.settings import Settings
from worker.settings.files import UnfitFileError, read_secret

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Which:
    """The stream *stream_id* at the transmitter of *door*."""

    door: str
    stream_id: str

    def __str__(self) -> str:
        return f"{self.door} {self.stream_id}"


class TransmitterRefused(Exception):  # noqa: N818 - what is the case
    """The transmitter did not do what it was asked; the text says what came instead."""


def found(settings: Settings, door: str) -> list[Stream]:
    """Return our streams at the transmitter of *door*. Raises RefusedRequest, TransmitterRefused."""
    return _ask(settings, door, lambda streams: streams.listed())


def one(settings: Settings, which: Which) -> Stream:
    """Return one of them. Raises as `found` does."""
    return _ask(settings, which.door, lambda streams: streams.one(which.stream_id))


def require_fit(settings: Settings, door: str, push_to: str | None) -> None:
    """Raise RefusedRequest where no stream can be made for *door*, pushed to the URL *push_to*, or polled."""
    receiver = _receiver(settings, door)
    if push_to and (fault := endpoint_fault(push_to)):
        raise RefusedRequest(f"--push: {fault}")
    if push_to and not receiver.is_pushed:
        raise RefusedRequest(f"doors.{door}.poll_url is set: nothing is pushed to this door")


def create(
    settings: Settings, ledger: Ledger, door: str, push_to: str | None, operator: Operator
) -> tuple[AuditEntry, Stream]:
    """Make a stream, between two writings of the audit. Raises LedgerUnavailable, and as `found` does."""
    secret = _first_secret(_receiver(settings, door)) if push_to else None
    audit = operator.entry("streams.create", door, plan=f"push to {push_to}" if push_to else "poll")
    return _audited(
        ledger,
        audit,
        lambda: _ask(settings, door, lambda streams: streams.create(push_to, secret, "revoker")),
        lambda stream: f"stream {stream.stream_id}",
    )


def verify(settings: Settings, ledger: Ledger, which: Which, operator: Operator) -> tuple[AuditEntry, str]:
    """Have a verification event sent; return the state that it will hold. Raises likewise."""
    state, audit = uuid.uuid4().hex, operator.entry("streams.verify", str(which))

    def asked() -> str:
        _ask(settings, which.door, lambda streams: streams.verify(which.stream_id, state))
        return state

    return _audited(ledger, audit, asked, lambda state: f"state {state}")


def set_status(
    settings: Settings, ledger: Ledger, which: Which, status: Status, operator: Operator
) -> tuple[AuditEntry, str]:
    """Have a stream deliver, keep or drop events; return its status then. Raises likewise."""
    audit = operator.entry("streams.status", str(which), plan=status)

    def asked() -> str:
        return _ask(settings, which.door, lambda each: each.set_status(which.stream_id, status, operator.reason))

    return _audited(ledger, audit, asked, lambda told: told)


def delete(settings: Settings, ledger: Ledger, which: Which, operator: Operator) -> tuple[AuditEntry, None]:
    """Have the transmitter forget a stream. Raises likewise."""
    audit = operator.entry("streams.delete", str(which))

    def asked() -> None:
        _ask(settings, which.door, lambda streams: streams.delete(which.stream_id))

    return _audited(ledger, audit, asked, lambda _: "deleted")


def _audited(
    ledger: Ledger, audit: AuditEntry, change: Callable[[], T], told: Callable[[T], str]
) -> tuple[AuditEntry, T]:
    """Write the audit first: what cannot be accounted for is not done."""
    ledger.audit(replace(audit, result=BEGUN))
    try:
        result = change()
    except TransmitterRefused as failure:
        ledger.audit(replace(audit, result=str(failure)))
        raise
    ledger.audit(replace(audit, count=1, result=told(result)))
    return audit, result


def _ask(settings: Settings, door: str, question: Callable[[Streams], Awaitable[T]]) -> T:
    receiver = _receiver(settings, door)

    async def answer() -> T:
        async with open_session(tls=receiver.tls) as session:
            return await question(Streams(receiver, Edge(session, receiver.sweep_timeout)))

    try:
        return asyncio.run(answer())
    except PullFailed as failure:
        raise TransmitterRefused(f"the transmitter of {door}: {failure.reason}") from None


def _receiver(settings: Settings, door: str) -> Receiver:
    receiver = settings.doors.get(door)
    if not isinstance(receiver, Receiver):
        names = sorted(name for name, each in settings.doors.items() if isinstance(each, Receiver))
        raise RefusedRequest(f"the door must be one of: {', '.join(names) or '(none of this kind is configured)'}")
    return receiver


def _first_secret(receiver: Receiver) -> SecretStr | None:
    """Return what the transmitter is to show at each push: the first line of the door's file of secrets."""
    if receiver.bearer_file is None:
        return None
    try:
        return SecretStr(read_secret(receiver.bearer_file).splitlines()[0].strip())
    except UnfitFileError as fault:
        raise RefusedRequest(f"{receiver.bearer_file.name} {fault}") from None
