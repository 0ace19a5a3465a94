"""What is known of a provider without calling it: its kind, what that does for whom, the base of its settings."""

import re
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr

from tasks.call import Operation
from tasks.hosts import is_host, is_loopback
from tasks.strict_model import StrictModel
from tasks.tls import SYSTEM_TRUST, TlsSettings

_VISIBLE_ASCII: Final = re.compile(r"[!-~]{1,16384}")
_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """How a kind of provider revokes one session."""

    operation: Operation
    credential: Literal["jwe", "token_reference_id"]  # what an event must bring for it
    own_credential: bool = False  # the call is made with the worker's credential: a 401 is about that

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Its operation alone."""
        return (self.operation,)


@dataclass(frozen=True, slots=True)
class UserPlan:
    """How a kind of provider revokes every token of a user."""

    operation: Operation
    is_user_id: Callable[[str], bool]
    own_credential: bool = True
    listed: Operation | None = None  # the operation of each item, where what a user has is listed first
    by_address: bool = False  # its user id is the e-mail address that an event names the person by

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Its operations: for the user, and for each item of their list."""
        return (self.operation, self.listed) if self.listed else (self.operation,)


class CommonSettings(StrictModel):
    """The settings that every provider instance has."""

    kind: str
    timeout: float = Field(10.0, ge=0.05, le=120, description="Seconds for one whole call, logins and body included")
    subject_issuer: str | None = Field(None, description="The issuer whose `sub` is this provider's user id, if any")
    rate_limit: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Calls in 60 s with its credential, all workers together; 0: any number; unset: what the vendor "
        "documents (Genesys: 300)",
    )
    tls: TlsSettings = SYSTEM_TRUST

    @property
    @abstractmethod
    def api(self) -> str:
        """The base URL of the API that revokes."""

    @property
    def base_urls(self) -> tuple[str, ...]:
        """Every base URL that its requests go to, that of the API first."""
        return (self.api,)

    @property
    @abstractmethod
    def account(self) -> tuple[str, ...]:
        """The parts, maybe secret, by which the provider tells callers apart: equal ones share a rate limit."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of provider: its settings, its client, and how it revokes a session or every token of a user.

    The client is imported when the first one is made: who only reads settings needs no HTTP.
    """

    name: str
    settings: type[CommonSettings]
    client: str  # `module:Class`, made of a name, the kind's own settings, a session and an unsealer
    session: SessionPlan | None = None
    user: UserPlan | None = None
    documented_limit: int | None = None  # requests in 60 s with one credential, as the vendor says
    narrowed: Callable[[Any], "Kind"] | None = None  # by an instance's settings, where these decide what it can do

    def of(self, settings: CommonSettings) -> "Kind":
        """The kind as the instance of *settings* is: what that one can do, and with whose credential."""
        return self.narrowed(settings) if self.narrowed else self

    @property
    def plans(self) -> tuple[SessionPlan | UserPlan, ...]:
        """Its plans: for a session, for a user, or both."""
        return tuple(plan for plan in (self.session, self.user) if plan)

    @property
    def limited_operations(self) -> frozenset[Operation]:
        """The operations that count against the limit of our credential: all, where none is made with it."""
        own = [plan for plan in self.plans if plan.own_credential]
        return frozenset(each for plan in own or self.plans for each in plan.operations)

    @property
    def limits_sessions(self) -> bool:
        """Whether the calls for single sessions count against that limit."""
        return self.session is not None and self.session.operation in self.limited_operations

    def uses_own_credential(self, operation: Operation) -> bool:
        """Whether a 401 for *operation* is about our own credential rather than about the user's token."""
        return any(operation in plan.operations and plan.own_credential for plan in self.plans)


def _base_url(value: str) -> str:
    parts = _split(value)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("must be a plain base URL: no user name, query or fragment")
    host, port, path = parts.hostname or "", _port(parts), parts.path.rstrip("/")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError("must start with https:// (http:// is for loopback hosts only)")
    if not (is_host(host) and _PATH.fullmatch(path)):
        raise ValueError("must be a base URL with a host name and a plain path")
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{path}"


def _split(value: str) -> SplitResult:
    """Python's own refusals repeat what stands before the host."""
    try:
        return urlsplit(value)
    except ValueError:
        raise ValueError("must be a base URL with a host name and a plain path") from None


def _port(parts: SplitResult) -> str:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("must have a port from 1 to 65535, or none")
    return f":{port}" if port else ""


def is_sendable(secret: SecretStr) -> bool:
    """Whether *secret* can stand in an HTTP header: visible ASCII, at most 16 KiB (RFC 9110 section 5.5)."""
    return _VISIBLE_ASCII.fullmatch(secret.get_secret_value()) is not None


def _sendable(secret: SecretStr) -> SecretStr:
    if not is_sendable(secret):
        raise ValueError("must be visible ASCII characters without spaces")
    return secret


BaseUrl = Annotated[str, AfterValidator(_base_url)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_sendable)]
