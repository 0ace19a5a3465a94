"""The closed set of outcomes, of the states they lead to, and of the reasons for a dead letter."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a revocation stands: a ledger state and a metric label, never renamed.

    `planned` is the only one that is not an outcome: the call was published and no worker has spoken of it yet.
    """

    PLANNED = "planned"
    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    ALREADY_REVOKED = "already_revoked"
    COVERED = "covered"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    NO_SESSION_KNOWN = "no_session_known"
    ENABLED = "enabled"
    RETRYING = "retrying"
    HELD = "held"
    DEAD = "dead"
    REPLAYED = "replayed"
    DISCARDED = "discarded"

    @property
    def is_settled(self) -> bool:
        """Whether the token is known to be dead, or known to need no call."""
        return self in SETTLED

    @property
    def is_open(self) -> bool:
        """Whether more is to come of it by itself."""
        return self in OPEN


OPEN: Final = frozenset({State.PLANNED, State.RETRYING, State.HELD, State.REPLAYED})
SETTLED: Final = frozenset(
    {
        State.ACCEPTED,
        State.CONFIRMED,
        State.ALREADY_REVOKED,
        State.COVERED,
        State.EXPIRED,
        State.SUPERSEDED,
        State.NO_SESSION_KNOWN,
        State.ENABLED,
    }
)
# Settled without a call, because the user is enabled again: what they had, and what they got since, may live.
SPARED: Final = frozenset({State.SUPERSEDED, State.ENABLED})


# A user-wide call that came to this killed every token of the user, so the listed sessions are `covered`. Not
# `already_revoked`: then the provider knows no such user, and the sessions may be somebody's all the same.
COVERING: Final = frozenset({State.ACCEPTED, State.CONFIRMED, State.COVERED})


class Reason(StrEnum):
    """Why a call did not succeed, or an event, a unit or a task was refused: stable names, searched by operators.

    Two families are open at the end and made by functions: `http.4xx.<name>` and `event.<code>`.
    """

    HTTP_5XX = "http.5xx"
    HTTP_429 = "http.429"
    HTTP_3XX = "http.3xx"
    NET_TIMEOUT = "net.timeout"
    NET_CONNECT = "net.connect"
    NET_TLS = "net.tls"
    NET_DNS = "net.dns"
    AUTH_UNAUTHORIZED = "auth.unauthorized"
    AUTH_FORBIDDEN = "auth.forbidden"
    CRYPTO_SEAL = "crypto.seal"
    CRYPTO_CIPHER = "crypto.cipher"
    PROVIDER_RESCODE = "provider.rescode"
    PROVIDER_BAD_REPLY = "provider.bad_reply"
    PROVIDER_NOT_FOUND = "provider.not_found"
    PROVIDER_NO_ENDPOINT = "provider.no_endpoint"
    PROVIDER_IN_PROGRESS = "provider.in_progress"
    ROUTE_UNRESOLVABLE = "route.unresolvable"
    ROUTE_UNKNOWN_PROVIDER = "route.unknown_provider"
    REGISTRY_FULL = "registry.full"
    REGISTRY_TOO_LONG = "registry.too_long"
    REGISTRY_UNREADABLE = "registry.unreadable"
    BUDGET_EXHAUSTED = "budget.exhausted"
    WORKER_LOST = "worker.lost"
    BROKER_DELIVERY_LIMIT = "broker.delivery_limit"
    BROKER_EXPIRED = "broker.expired"
    BROKER_MAXLEN = "broker.maxlen"
    BROKER_REJECTED = "broker.rejected"
    RECORD_INVALID = "record.invalid"
    GUARD_FLOOD = "guard.flood"
    TASK_TOO_LARGE = "task.too_large"
    TASK_NOT_JSON = "task.not_json"
    TASK_MALFORMED_JSON = "task.malformed_json"
    TASK_UNKNOWN = "task.unknown"
    TASK_INVALID_HEADER = "task.invalid_header"
    TASK_INVALID_ARGUMENT = "task.invalid_argument"
    TASK_EMBEDDED = "task.embedded"


_NAMES_4XX: Final[Mapping[int, str]] = {
    400: "bad_request",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    410: "gone",
    411: "length_required",
    412: "precondition_failed",
    413: "content_too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    422: "unprocessable_content",
    423: "locked",
    425: "too_early",
    431: "header_fields_too_large",
    451: "unavailable_for_legal_reasons",
}


def http_reason(status: int) -> str:
    """The reason of an HTTP status that is not a success, e.g. 503 → `http.5xx`, 409 → `http.4xx.conflict`.

    Names are those of RFC 9110 section 15, in snake case; a 4xx without a name here is `http.4xx.other`.
    A status that is no HTTP error at all (1xx, or a 2xx that the caller refuses) is `provider.bad_reply`.
    """
    match status // 100:
        case 3:
            return Reason.HTTP_3XX
        case 4 if status == 429:  # noqa: PLR2004 - the number is the name
            return Reason.HTTP_429
        case 4:
            return f"http.4xx.{_NAMES_4XX.get(status, 'other')}"
        case 5:
            return Reason.HTTP_5XX
        case _:
            return Reason.PROVIDER_BAD_REPLY


def event_reason(code: str) -> str:
    """The dead-letter reason of a refused event, e.g. `event.invalid_time`."""
    return f"event.{code}"


@dataclass(frozen=True, slots=True)
class Settled:
    """The goal is reached: the token is dead, or was dead already. *state* says which, *evidence* how we know."""

    state: State
    evidence: str  # e.g. "204", "401 bad.credentials", "probe 401"
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transient:
    """The provider may succeed later; nothing is known to be revoked yet."""

    reason: str
    retry_after: float | None = None  # seconds, as asked by the provider: a floor
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed(Transient):
    """The provider listed what is left: each of *items*, ids that are no secrets, needs a call of *operation*."""

    operation: str = ""
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Permanent:
    """Waiting does not help: an operator must look."""

    reason: str
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CredentialFault:
    """The provider refuses the worker's credential, not the user's token: no call can succeed until it is mended.

    The call is kept and burns no attempt; calls with this credential are held and probed. Where *is_ambiguous*, the
    provider answers the same to a bad token: only other calls show which of the two it is.
    """

    reason: str
    detail: Mapping[str, str] = field(default_factory=dict)
    is_ambiguous: bool = False


Outcome = Settled | Transient | Permanent | CredentialFault
