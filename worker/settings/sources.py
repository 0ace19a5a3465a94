"""The source map: who may say what, and how it is proved, as settings."""

from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from tasks.events import EVENT_TYPES
from tasks.events.fields import Source
from tasks.strict_model import StrictModel

Named = TypeVar("Named", bound=str)


def _limit(names: frozenset[Named]) -> frozenset[Named]:
    if not names:
        raise ValueError("names nothing; leave it out where there is no limit")
    return names


def _event_type(name: str) -> str:
    if name not in EVENT_TYPES:
        raise ValueError(f"must be one of {', '.join(EVENT_TYPES)}")
    return name


# An empty list would mean what an unset one does: an empty variable in a template would let everything in.
Limit = Annotated[frozenset[Named], AfterValidator(_limit)]
Name = Annotated[str, StringConstraints(min_length=1)]


class SourceSettings(StrictModel):
    """One source of events: its proofs, all of which are asked for, and its limits. What has no limit may be all."""

    source: Source = Field(description="The `source` of its events")
    users: Limit[Name] = Field(
        frozenset(), description="RabbitMQ users, one of which the validated `user_id` must name"
    )
    keys: Path | None = Field(
        None, description="JWK Set of its signing keys, read again when it changes; with HS256 mode 0600"
    )
    trusted: bool = Field(default=False, description="No proof is asked for: whoever may publish may use its name")
    types: Limit[Annotated[str, AfterValidator(_event_type)]] = Field(
        frozenset(), description=f"Types of its events, of {', '.join(map('`{}`'.format, EVENT_TYPES))}; unset: all"
    )
    providers: Limit[Name] = Field(
        frozenset(), description="Provider instances it may name, and that its events reach; unset: all"
    )
    tenants: Limit[Name] = Field(
        frozenset(), description="Tenants, of whom each event must name one, as `tenant` of a complex `sub_id`"
    )
    issuers: Limit[Name] = Field(
        frozenset(), description="Subject issuers, of whom each event must name one, as `iss` in `sub_id`"
    )

    @model_validator(mode="after")
    def _is_proved(self) -> Self:
        if self.trusted == bool(self.users or self.keys):
            raise ValueError("needs a proof (users, keys or both), or trusted = true, and not both")
        return self
