"""What an answer means: the status tables, the outcomes they lead to, and the details that may be told of an answer."""

import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Final

from pydantic import SecretStr

from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, State, Transient, http_reason

_TELLABLE: Final = re.compile(r"[A-Za-z0-9._:/-]{1,256}")
_TOLD: Final = 64  # characters of a detail
_GIVEAWAY: Final = 8  # characters in a row of a secret that are too many to tell
_SECONDS: Final = re.compile(r"\d{1,10}(\.\d{1,9})?", re.ASCII)
_TOO_MANY_REQUESTS: Final = 429
_SUCCESS: Final = range(200, 300)
_HEALS: Final = frozenset({408, 425, 429})
_NOT_IMPLEMENTED: Final = 501


class Verdict(Enum):
    """What a status means for a revocation."""

    ACCEPTED = auto()
    ALREADY_REVOKED = auto()
    RETRY = auto()
    DEAD = auto()
    FAULT = auto()


def status_table(special: Mapping[int, Verdict] | None = None) -> Mapping[int, Verdict]:
    """Return the verdict of every status 100..599: *special* where given, else the rule all providers share.

    2xx is success; 408, 425, 429 and 5xx but 501 heal by waiting; a 1xx is no answer; the rest, redirects included,
    is ours to mend.
    """
    return {status: _usual(status) for status in range(100, 600)} | dict(special or {})


def _usual(status: int) -> Verdict:
    match status // 100:
        case 2:
            return Verdict.ACCEPTED
        case 5 if status != _NOT_IMPLEMENTED:
            return Verdict.RETRY
        case 4 if status in _HEALS:
            return Verdict.RETRY
        case 3 | 4 | 5:
            return Verdict.DEAD
        case _:
            return Verdict.RETRY


_USUAL: Final = status_table()


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer within the caps. Its repr shows the status only; *headers* look up in any case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    secrets: tuple[SecretStr, ...] = field(default=(), repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return self.status in _SUCCESS

    @property
    def reason(self) -> str:
        """The reason this answer gives where it is no success."""
        return _REASONS.get(self.status) or http_reason(self.status)

    @property
    def retry_after(self) -> float | None:
        """Seconds the provider asks us to wait, or None."""
        return wait_asked(self.status, self.headers)

    def members(self) -> Mapping[str, object]:
        """Return the members of the JSON object in the body (RFC 8259); none where it is anything else."""
        if not self.body:  # the usual success
            return {}
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}

    def outcome(self, verdict: Verdict, told: Mapping[str, object], evidence: str | None = None) -> Outcome:
        """Return the outcome of *verdict*, with those of the *told* values that can be told."""
        detail = self.detail(told)
        match verdict:
            case Verdict.ACCEPTED:
                return Settled(State.ACCEPTED, evidence or str(self.status), detail)
            case Verdict.ALREADY_REVOKED:
                return Settled(State.ALREADY_REVOKED, evidence or str(self.status), detail)
            case Verdict.RETRY:
                return Transient(self.reason, self.retry_after, detail)
            case Verdict.DEAD:
                return Permanent(self.reason, detail)
            case Verdict.FAULT:
                return CredentialFault(self.reason, detail)

    def bad_reply(self, told: Mapping[str, object]) -> Transient:
        """Return the outcome of an answer that cannot be understood: never a success, and worth asking again.

        Transient, because what mangles an answer (a gateway's page, a cut connection, a key being rotated) passes,
        repeating is harmless, and the time budget ends in a dead letter with this reason if it does not.
        """
        return Transient(Reason.PROVIDER_BAD_REPLY, self.retry_after, self.detail(told))

    def reachable(self) -> Outcome:
        """Settled where somebody answered who is neither overloaded nor broken, whatever they said."""
        if _USUAL.get(self.status, Verdict.RETRY) is Verdict.RETRY:
            return self.outcome(Verdict.RETRY, {})
        return Settled(State.ACCEPTED, f"reachable {self.status}")

    def detail(self, told: Mapping[str, object]) -> Mapping[str, str]:
        """Return the status, and of the *told* values the short plain names that give away nothing we sent."""
        secrets = [secret.get_secret_value() for secret in self.secrets]
        plain = {name: str(value) for name, value in told.items() if type(value) in {str, int}}
        kept = {name: text[:_TOLD] for name, text in plain.items() if _is_tellable(text, secrets)}
        return {"status": str(self.status), **kept}


_REASONS: Final[Mapping[int, Reason]] = {
    401: Reason.AUTH_UNAUTHORIZED,
    403: Reason.AUTH_FORBIDDEN,
    404: Reason.PROVIDER_NOT_FOUND,
}


def _is_tellable(text: str, secrets: Iterable[str]) -> bool:
    return _TELLABLE.fullmatch(text) is not None and not any(_gives_away(text, secret) for secret in secrets)


def _gives_away(text: str, secret: str) -> bool:
    """Whether *text* holds the whole *secret*, or eight characters of it in a row."""
    if len(secret) < _GIVEAWAY:
        return bool(secret) and secret in text
    return any(text[start : start + _GIVEAWAY] in secret for start in range(len(text) - _GIVEAWAY + 1))


def wait_asked(status: int, headers: Mapping[str, str], clock: Callable[[], float] = time.time) -> float | None:
    """Return the seconds the provider asks us to wait, or None.

    Retry-After as seconds, decimals included, or as a date (RFC 9110 section 10.2.3), reckoned from the answer's own
    Date so that a wrong clock of ours never makes us early; a past date is 0. A 429 without it: Genesys Cloud's
    `inin-ratelimit-reset`, seconds. Garbage and negatives are as good as absent.
    """
    asked = _wait(headers.get("Retry-After", ""), headers.get("Date", ""), clock)
    if asked is None and status == _TOO_MANY_REQUESTS:
        return _seconds(headers.get("inin-ratelimit-reset", ""))
    return asked


def _wait(asked: str, sent: str, clock: Callable[[], float]) -> float | None:
    seconds = _seconds(asked)
    if seconds is not None:
        return seconds
    until = _timestamp(asked)
    if until is None:
        return None
    now = _timestamp(sent)
    return max(0.0, until - (clock() if now is None else now))


def _seconds(text: str) -> float | None:
    bare = text.strip(" \t")  # the white space of RFC 9110 section 5.6.3: Python strips more than float() takes
    return float(bare) if _SECONDS.fullmatch(bare) else None


def _timestamp(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        stamp = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return stamp if math.isfinite(stamp) else None
