"""The sections of the settings: those that hold numbers, and the source map, which says who may say what."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Self, TypeVar

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from tasks.events import EVENT_TYPES
from tasks.events.fields import Source
from tasks.retry import RetryPolicy
from tasks.strict_model import StrictModel

MAX_PEOPLE: Final = 1_000_000_000  # as good as no limit, and no more
MAX_DAYS: Final = 36_500  # a century
Span = Annotated[float, Field(le=31_622_400.0)]  # seconds, of 366 days: the longest that any date has room for


class RetrySettings(RetryPolicy):
    """The retry curve and its two ends."""

    routine_budget: Span = Field(86_400.0, gt=0, description="Seconds from a session.ended event's time to giving up")
    urgent_budget: Span = Field(259_200.0, gt=0, description="Seconds from a user.disabled event's time to giving up")


class MaxAgeSettings(StrictModel):
    """How old an event may be, and how long it is remembered."""

    session_ended: Span = Field(
        172_800.0,
        ge=3600,
        description="Seconds a session.ended or session.started may be older than those that arrived before it",
    )
    user_disabled: Span = Field(604_800.0, ge=3600, description="Seconds likewise, for a user.disabled or user.enabled")
    outage: Span = Field(
        2_592_000.0, ge=0, description="Seconds of waiting for us that are allowed on top, by our own clock"
    )


class HoldSettings(StrictModel):
    """How long a provider is left alone before it is probed."""

    first: float = Field(15.0, ge=1, le=3600, description="Seconds until the first probe; doubled by each that fails")
    cap: float = Field(300.0, ge=1, le=3600, description="Seconds between two probes at most")


class WorkerSettings(StrictModel):
    """The Celery worker."""

    in_flight_routine: int = Field(250, ge=1, le=5000, description="Routine calls in flight, for each provider")
    in_flight_urgent: int = Field(50, ge=1, le=5000, description="Urgent calls in flight, for each provider, on top")
    shutdown_grace: float = Field(
        20.0, ge=0, le=50, description="Seconds calls in flight get to finish at a stop; the broker waits 60 for a sign"
    )
    remote_control: bool = Field(
        default=False, description="`celery inspect` and `control`; whoever reaches the broker can then stop workers"
    )


class FloodSettings(StrictModel):
    """How many people one source may hit before the rest waits for an operator.

    Timeout jobs end thousands of sessions at once, each with the session's own credential. A user.disabled needs none
    and locks somebody out: directories disable people one by one, fifty of one source in ten minutes are a mistake.
    Counted is what is hit: somebody with accounts at two instances is two.
    """

    window: float = Field(600.0, ge=1, le=86_400, description="Seconds in which distinct people are counted")
    disabled: int = Field(
        50,
        ge=1,
        le=MAX_PEOPLE,
        description="People whom one source may disable in the window; the rest waits for an operator",
    )
    disabled_of_all: int = Field(200, ge=1, le=MAX_PEOPLE, description="People likewise, of all sources together")
    ended: int = Field(
        20_000, ge=1, le=MAX_PEOPLE, description="People whose sessions one source may end in the window"
    )
    ended_of_all: int = Field(50_000, ge=1, le=MAX_PEOPLE, description="People likewise, of all sources together")
    reserve: float = Field(
        60.0, ge=1, le=86_400, description="Seconds between two user.disabled that pass while others are held back"
    )


class StorageSettings(StrictModel):
    """How long what is kept, and how much that is not proved."""

    events_days: float = Field(
        90.0, ge=1, le=MAX_DAYS, description="Days an event is kept with its calls once all are settled or discarded"
    )
    letters_days: float = Field(
        90.0,
        ge=1,
        le=MAX_DAYS,
        description="Days a dead letter is kept once it was replayed or discarded; else for ever",
    )
    audit_days: float = Field(
        730.0, ge=1, le=MAX_DAYS, description="Days the audit is kept; not less than the two above"
    )
    unproved_letters: int = Field(
        10_000, ge=1, le=10_000_000, description="Unproved dead letters in the ledger; more wait in the broker"
    )
    unproved_megabytes: int = Field(
        256, ge=1, le=1_000_000, description="Megabytes of them; the limit that is reached first counts"
    )

    @model_validator(mode="after")
    def _keeps_the_audit_longest(self) -> Self:
        if self.audit_days < max(self.events_days, self.letters_days):
            raise ValueError("audit_days must not be less than events_days or letters_days")
        return self


def address(host: str) -> str:
    """Return *host* in the form of an IP address. A name might take a resolver's time, and lead to another machine."""
    try:
        return str(ip_address(host))
    except ValueError:
        raise ValueError("must be an IP address, without a port") from None


class MonitoringSettings(StrictModel):
    """Where each process shows its metrics and its health."""

    host: Annotated[str, AfterValidator(address)] = Field(
        "127.0.0.1",
        description="Address to listen on; `0.0.0.0` or `::`: for whoever reaches this machine",
    )
    port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="Port; 0: none; unset: intake 9461, worker 9462, recorder 9463, console 9464, door 9465, "
        "sweep 9466, ldap 9467",
    )
    snapshot_interval: float = Field(
        5.0, ge=0.5, le=60, description="Seconds between two looks of the recorder at what waits in queues and ledger"
    )
    stalled_after: float = Field(
        60.0, ge=2, le=3600, description="Seconds without a sign of its own loop, after which a process is not live"
    )


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
    doors: Limit[Name] = Field(
        frozenset(), description="Doors by name: an event that came in by one of them needs none of the proofs above"
    )
    trusted: bool = Field(default=False, description="No proof is asked for: whoever may publish may use its name")
    types: Limit[Annotated[str, AfterValidator(_event_type)]] = Field(
        frozenset(),
        description=f"Types of its events, of {', '.join(map('`{}`'.format, EVENT_TYPES))}; unset: all but "
        f"{', '.join(f'`{name}`' for name, each in EVENT_TYPES.items() if not each.revokes)}, which must be named",
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
        if self.trusted == bool(self.users or self.keys or self.doors):
            raise ValueError("needs a proof (users, keys, doors), or trusted = true, and not both")
        return self
