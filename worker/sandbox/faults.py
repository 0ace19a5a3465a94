"""Scripted faults: what goes wrong, with whom, and how often."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field, TypeAdapter

from tasks.strict_model import StrictModel
from worker.sandbox.store import digest

ANY: Final = "*"
OTHER: Final = "other"  # whatever is no operation: what a check asks, a wrong URL


class Fault(StrictModel):
    """One line of the script. Faults that match the same request take their turns in the order they were given.

    | fault | the provider |
    |---|---|
    | `status` | answers *status* in its own shape, with *retry_after* and *location* if given; nothing is revoked |
    | `slow` | revokes, and answers *seconds* later |
    | `slow_body` | revokes, answers at once, and lets the body drip over *seconds* |
    | `reset` | resets the connection (RST); nothing is revoked |
    | `reset_after` | revokes, and resets the connection instead of answering |
    | `malformed` | answers 200 with a body that cannot be read; nothing is revoked |
    | `wrong_key` | as `malformed`, and where bodies are encrypted: with another key |
    """

    fault: Literal["status", "slow", "slow_body", "reset", "reset_after", "malformed", "wrong_key"]
    provider: str = ANY
    operation: str | None = None  # e.g. genesys.delete_token, or *; None: all but logins and checks
    match: str = Field(default=ANY, repr=False)  # a token, a user id, a token reference id, or *
    times: int | None = Field(default=None, gt=0)  # None: for ever
    status: int = Field(default=503, ge=200, le=599)
    retry_after: str | None = None  # the very value of the header, good or bad
    location: str | None = None
    seconds: float = Field(default=5.0, ge=0)

    def applies_to(self, provider: str, operation: str) -> bool:
        """Whether the fault is meant for this operation of this provider; whose token it is, is not asked here."""
        meant = (
            operation != OTHER and not operation.endswith(".login")
            if self.operation is None
            else self.operation in {ANY, operation}
        )
        return meant and self.provider in {ANY, provider}


FAULTS: Final = TypeAdapter(tuple[Fault, ...])


@dataclass(slots=True)
class _Armed:
    order: int
    fault: Fault
    left: float


class FaultScript:
    """The faults still to come."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._armed: defaultdict[str, list[_Armed]] = defaultdict(list)
        self._count = 0
        self.add(faults)

    def add(self, faults: Iterable[Fault]) -> None:
        """Append *faults* to the script."""
        for fault in faults:
            self._count += 1
            armed = _Armed(self._count, fault, fault.times or float("inf"))
            for key in {fault.match, digest(fault.match)} if fault.match != ANY else {ANY}:
                self._armed[key].append(armed)

    def clear(self) -> None:
        """Let everything work from now on."""
        self._armed.clear()

    def take(self, provider: str, operation: str, key: str) -> Fault | None:
        """Return the next fault for a request, used up by one, or None: all is well."""
        armed = (one for one in self._candidates(key) if one.fault.applies_to(provider, operation))
        first = min(armed, key=lambda one: one.order, default=None)
        if first is None:
            return None
        first.left -= 1
        return first.fault

    def _candidates(self, key: str) -> list[_Armed]:
        for bucket in {key, ANY} & self._armed.keys():
            self._armed[bucket] = [one for one in self._armed[bucket] if one.left > 0]
        return [*self._armed.get(key, ()), *self._armed.get(ANY, ())]
