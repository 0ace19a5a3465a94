"""The sample events: read from their file, filled with fresh tokens.

A sample's strings may hold one placeholder each. `<jwe NAME at PROVIDER>` is a live token, sealed by the project's own
sealing; `<dead jwe …>` one that is not alive; `<token …>` the same token in clear, for the sandbox's script alone;
`<reference NAME at PROVIDER>` a live token reference; `<user NAME at PROVIDER>` a user with one live token;
`<now>`, `<now -2h>` a time. The same name at the same provider is the same token throughout a run, new in the next.
"""

import json
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, Final

from pydantic import Field, TypeAdapter

from tasks.outcome import State
from tasks.sealing import SealingKey, seal
from tasks.strict_model import StrictModel

SOURCE: Final = "urn:revoker:run"
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_NAMED: Final = re.compile(r"<(dead jwe|jwe|token|reference|user) ([\w-]+) at ([\w-]+)>")
_TIME: Final = re.compile(r"<now(?: -(\d+)([smhd]))?>")


class Expected(StrictModel):
    """One line that the ledger must show of a sample in the end."""

    outcome: State
    provider: str | None = None  # None: the event was refused as a whole
    reason: str | None = None  # of a dead letter
    attempts: int | None = None  # exactly
    seconds: float | None = None  # at least, from the event's time on


class Sample(StrictModel):
    """An event, what goes wrong with it, and what must become of it."""

    title: str = Field(alias="sample")
    event: dict[str, Any]
    expect: tuple[Expected, ...]
    faults: tuple[dict[str, Any], ...] = ()
    copies: int = 1


@dataclass(frozen=True, slots=True)
class SampleEvent:
    """The event of a sample, as it is published."""

    sample: Sample
    document: Mapping[str, Any] = field(repr=False)

    @property
    def event_id(self) -> str:
        """The id of its event."""
        return str(self.document["id"])

    @property
    def event_type(self) -> str:
        """The type of its event."""
        return str(self.document["type"])

    @property
    def bodies(self) -> list[bytes]:
        """The bodies to publish: one, or as many copies as the sample asks for."""
        return [json.dumps(self.document).encode()] * self.sample.copies


@dataclass(slots=True)
class Fixtures:
    """The tokens and users of one run, and what the sandbox must know of them."""

    key: SealingKey
    run: str = field(default_factory=lambda: secrets.token_hex(4))
    live: list[dict[str, str]] = field(default_factory=list, repr=False)  # seeds for the sandbox
    faults: list[dict[str, Any]] = field(default_factory=list, repr=False)
    sealed: dict[str, str] = field(default_factory=dict, repr=False)  # JWE → its token

    def event(self, sample: Sample) -> SampleEvent:
        """*sample* as an event of now."""
        envelope = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": SOURCE, "time": "<now>"}
        self.faults += [self._filled(fault) for fault in sample.faults]
        return SampleEvent(sample, self._filled({**envelope, "datacontenttype": "application/json", **sample.event}))

    def _filled(self, node: Any) -> Any:  # noqa: ANN401 - JSON
        match node:
            case dict():
                return {name: self._filled(value) for name, value in node.items()}
            case list():
                return [self._filled(value) for value in node]
            case str() if named := _NAMED.fullmatch(node):
                return self._named(*named.groups())
            case str() if time := _TIME.fullmatch(node):
                return _time(*time.groups())
            case _:
                return node

    def _named(self, what: str, name: str, provider: str) -> str:
        token = f"{'dead' if what == 'dead jwe' else 'sbx'}-{self.run}-{name}-{provider}"
        match what:
            case "token":
                return token
            case "reference":
                self.live.append({"provider": provider, "token_reference_id": token})
                return token
            case "user":
                user_id = str(uuid.uuid5(uuid.NAMESPACE_OID, token))
                self.live.append({"provider": provider, "token": token, "user_id": user_id})
                return user_id
            case "jwe":
                self.live.append({"provider": provider, "token": token})
        jwe = seal(token, provider, self.key)
        self.sealed[jwe] = token
        return jwe


def load_samples() -> tuple[Sample, ...]:
    """Return the samples that come with the package."""
    return TypeAdapter(tuple[Sample, ...]).validate_json(files(__package__).joinpath("samples.json").read_bytes())


def _time(amount: str | None, unit: str | None) -> str:
    ago = timedelta(seconds=int(amount) * _UNIT_SECONDS[unit]) if amount and unit else timedelta()
    return (datetime.now(UTC) - ago).isoformat(timespec="milliseconds")
