"""The parts of every provider's client: its protocol, its requests, the credential that it opens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Protocol
from urllib.parse import quote

from pydantic import SecretStr
from yarl import URL

from tasks.call import ProviderCall
from tasks.outcome import Outcome, Permanent, Reason, Transient
from tasks.providers.kind import is_sendable
from tasks.sealing import SealError, UnknownKeyError, Unsealer, kid_of

MASK: Final = SecretStr("•••")  # stands in a preview where the secret stands in the request
KEY_TRIES: Final = 3  # at a call whose sealing key is not there; the folder of keys is looked at every second
KEY_PAUSE: Final = 1.5  # seconds between two of them, at least

_EVERY_REQUEST: Final[Mapping[str, str]] = {"Accept-Encoding": "identity", "User-Agent": "revoker"}


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


def endpoint(base_url: str, *segments: str, query: str = "", ending: str = "") -> URL:
    """Return the URL of *segments* below *base_url*, each one path segment; ValueError for an empty or dot segment.

    *ending* is a slash behind them, or nothing.
    """
    path = "".join(f"/{quote(segment, safe='')}" for segment in segments) + ending
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
