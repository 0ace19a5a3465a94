"""The parts of every provider: its protocol, its kind, its requests, the base of its settings."""

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Final, Literal, Protocol
from urllib.parse import SplitResult, quote, urlsplit

import aiohttp
from pydantic import AfterValidator, Field, SecretStr
from yarl import URL

from tasks.call import Operation, ProviderCall
from tasks.hosts import is_host, is_loopback
from tasks.outcome import Outcome, Permanent, Reason, Transient
from tasks.sealing import SealError, UnknownKeyError, Unsealer, kid_of
from tasks.strict_model import StrictModel
from tasks.tls import SYSTEM_TRUST, TlsSettings

MASK: Final = SecretStr("•••")  # stands in a preview where the secret stands in the request
KEY_TRIES: Final = 3  # at a call whose sealing key is not there; the folder of keys is looked at every second
KEY_PAUSE: Final = 1.5  # seconds between two of them, at least

_EVERY_REQUEST: Final[Mapping[str, str]] = {"Accept-Encoding": "identity", "User-Agent": "revoker"}
_VISIBLE_ASCII: Final = re.compile(r"[!-~]{1,16384}")
_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, complete. Its repr shows neither header values nor body.

    *secrets* are those it carries: an answer that hands one back must not bring it into a log.
    """

    method: str
    url: URL
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    secrets: tuple[SecretStr, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", {**_EVERY_REQUEST, **self.headers})


class Provider(Protocol):
    """One configured instance of a provider's revocation API."""

    name: str

    async def execute(self, call: ProviderCall) -> Outcome:
        """Make *call* once, and again only after a renewed login. Raises ValueError for another kind's operation."""

    def preview(self, call: ProviderCall) -> Request:
        """Return the very request `execute` would send, `•••` for every secret. Raises ValueError for bad input."""

    async def check(self) -> Outcome:
        """Find out without revoking anything whether calls could succeed now: settled if so."""


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """How a kind of provider revokes one session."""

    operation: Operation
    credential: Literal["jwe", "token_reference_id"]  # what an event must bring for it
    own_credential: bool = False  # the call is made with the worker's credential: a 401 is about that


@dataclass(frozen=True, slots=True)
class UserPlan:
    """How a kind of provider revokes every token of a user."""

    operation: Operation
    is_user_id: Callable[[str], bool]
    own_credential: bool = True


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
    """A kind of provider: its settings, its maker, and how it revokes a session or every token of a user."""

    name: str
    settings: type[CommonSettings]
    make: Callable[[str, Any, aiohttp.ClientSession, Unsealer], Provider]  # of a name and the kind's own settings
    session: SessionPlan | None = None
    user: UserPlan | None = None
    documented_limit: int | None = None  # requests in 60 s with one credential, as the vendor says

    @property
    def plans(self) -> tuple[SessionPlan | UserPlan, ...]:
        """Its plans: for a session, for a user, or both."""
        return tuple(plan for plan in (self.session, self.user) if plan)

    @property
    def limited_operations(self) -> frozenset[Operation]:
        """The operations that count against the limit of our credential: all, where none is made with it."""
        own = [plan for plan in self.plans if plan.own_credential]
        return frozenset(plan.operation for plan in own or self.plans)

    @property
    def limits_sessions(self) -> bool:
        """Whether the calls for single sessions count against that limit."""
        return self.session is not None and self.session.operation in self.limited_operations

    def uses_own_credential(self, operation: Operation) -> bool:
        """Whether a 401 for *operation* is about our own credential rather than about the user's token."""
        return any(plan.operation == operation and plan.own_credential for plan in self.plans)


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


def endpoint(base_url: str, *segments: str, query: str = "") -> URL:
    """Return the URL of *segments* below *base_url*, each one path segment; ValueError for an empty or dot segment."""
    path = "".join(f"/{quote(segment, safe='')}" for segment in segments)
    url = URL(f"{base_url}{path}{query and '?'}{query}", encoded=True)
    expected = _path_of(base_url) + path
    if url.raw_path != expected or {"", ".", ".."}.intersection(segments):
        raise ValueError("a path segment would reach another endpoint")
    return url


@cache
def _path_of(base_url: str) -> str:
    return URL(base_url, encoded=True).raw_path.rstrip("/")


def open_sealed(unsealer: Unsealer, call: ProviderCall, audience: str) -> SecretStr | Permanent | Transient:
    """Return the bearer token of *call*, sealed for *audience*; call it in the frame that makes the HTTP call.

    The reason is `crypto.seal` where it cannot be opened or is no bearer token (RFC 6750 section 2.1). A missing key
    may just have been put there: the call is tried again, KEY_TRIES times at most.
    """
    if call.jwe is None:
        return Permanent(Reason.ROUTE_UNRESOLVABLE, {"missing": "jwe"})
    try:
        token = unsealer.open(call.jwe, audience)
    except SealError as error:
        problem = _seal_detail(error.problem, call.jwe)
        may_come = isinstance(error, UnknownKeyError) and call.attempt < KEY_TRIES
        return Transient(Reason.CRYPTO_SEAL, KEY_PAUSE, problem) if may_come else Permanent(Reason.CRYPTO_SEAL, problem)
    return token if is_sendable(token) else Permanent(Reason.CRYPTO_SEAL, _seal_detail("not_a_bearer_token", call.jwe))


def _seal_detail(problem: str, jwe: str) -> Mapping[str, str]:
    """What is wrong with a sealed credential, and the key that its header names."""
    kid = kid_of(jwe)
    return {"problem": problem, **({"kid": kid} if kid else {})}
