"""What the parts of the topology come to, on either broker."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from worker.broker import topology
from worker.broker.parts import OF_DEAD_LETTERS, Look, Part
from worker.operations.doctor.findings import Finding
from worker.operations.text import counted, short_duration

MUCH: Final = 1_000  # messages that wait for the recorder, which takes as many in a second
LONG: Final = 60.0  # seconds that one of them has waited
SHOWN: Final = 5  # names in one line

_TAKEN: Final = frozenset(queue.name for queue in (*topology.INTAKES, topology.DOOR))  # and those of providers
_RECORDS: Final = frozenset(queue.name for queue in topology.RECORDS)


def of_parts(parts: Sequence[Part]) -> Iterator[Finding]:
    """The findings about *parts*, those that are missing first."""
    for kind in ("exchange", "queue", "binding"):
        if mine := [part for part in parts if part.kind == kind]:
            yield _presence(kind, mine)
    there = [part for part in parts if part.look is not Look.MISSING and part.kind != "binding"]
    different = [part for part in there if part.look is Look.DIFFERENT]
    yield from _arguments(there, [part for part in different if part.argument not in OF_DEAD_LETTERS])
    yield from _dead_letters(there, [part for part in different if part.argument in OF_DEAD_LETTERS])
    yield from _consumers(there)
    yield from _lag([part for part in there if part.name in _RECORDS])


def named(names: Sequence[str]) -> str:
    """*names*, the first few of them."""
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _presence(kind: str, parts: Sequence[Part]) -> Finding:
    check = f"broker.{kind}s"
    if missing := [part.name for part in parts if part.look is Look.MISSING]:
        return Finding(check, "failed", f"missing: {named(missing)}")
    return Finding(check, "ok", f"all {len(parts)} are there")


def _arguments(there: Sequence[Part], different: Sequence[Part]) -> Iterator[Finding]:
    unseen = [part for part in there if part.look is Look.UNSEEN and part.name not in topology.delay_levels()]
    if different:
        yield Finding("broker.arguments", "failed", _differences(different))
    elif [part for part in unseen if part.name != topology.DELAY_EXIT]:
        yield Finding("broker.arguments", "warning", "not seen: this broker user may not declare")
    elif there:
        yield Finding("broker.arguments", "ok", "as this release declares them")


def _dead_letters(there: Sequence[Part], different: Sequence[Part]) -> Iterator[Finding]:
    if different:
        yield Finding("broker.dead_letters", "failed", _differences(different))
    elif any(part.look is Look.AS_DECLARED and part.kind == "queue" for part in there):
        yield Finding("broker.dead_letters", "ok", f"what is given up goes to {topology.DEAD.name}")


def _differences(parts: Sequence[Part]) -> str:
    return named([f"{part.name}: {part.difference}" for part in parts])


def _consumers(there: Sequence[Part]) -> Iterator[Finding]:
    """Of the queues of events and calls, where the broker counts consumers; those of the delays have none."""
    theirs = [part for part in there if part.name in _TAKEN or topology.provider_of(part.name)]
    theirs = [part for part in theirs if part.consumers is not None]
    if alone := [f"{part.name}: {counted(part.waiting)}" for part in theirs if part.waiting and not part.consumers]:
        yield Finding("broker.consumers", "warning", f"nobody takes what waits: {named(alone)}")
    elif theirs:
        yield Finding("broker.consumers", "ok", "nothing waits that nobody takes")


def _lag(records: Sequence[Part]) -> Iterator[Finding]:
    if not records:
        return
    waiting = sum(part.waiting for part in records)
    oldest = max((part.oldest or 0.0 for part in records), default=0.0)
    unread = sum(part.waiting for part in records if part.consumers == 0)
    age = f", the oldest for {short_duration(timedelta(seconds=oldest))}" if oldest else ""
    told = f"{counted(waiting)} wait{age}"
    if unread:
        yield Finding("ledger.lag", "warning", f"{told}; nobody takes {counted(unread)} of them")
    elif waiting > MUCH or oldest > LONG:
        yield Finding("ledger.lag", "warning", told)
    else:
        yield Finding("ledger.lag", "ok", told)
