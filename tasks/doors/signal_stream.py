"""A stream of our own signals: a receiver polls it (RFC 8936), the worker fills it as it would push to a receiver.

A token is kept before the worker is told that it was taken, and until the receiver acknowledges it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field

from tasks.doors.door import Answer, Arrival, Kind, Verdict, Word
from tasks.doors.security_event_tokens import TYPE
from tasks.doors.settings import IssuedDoorSettings
from tasks.doors.signals import Signals
from tasks.doors.statuses import STATUSES
from tasks.doors.tokens import Claims, Expected, Fault, verified
from tasks.strict_json import MalformedJsonError, decode

MAX_AT_ONCE: Final = 1000  # tokens of one answer, whatever is asked for
_DEFAULT: Final = 100
_CODE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Settings(IssuedDoorSettings):
    """A door of this kind. Its issuer is ourselves, and its keys are those by which receivers believe us."""

    limit: int = Field(10_000, ge=1, le=1_000_000, description="Signals that wait for the receiver; more: 503")


@dataclass(frozen=True, slots=True)
class _Poll:
    """What a receiver asks (RFC 8936, section 2.2)."""

    ack: list[str]
    errors: Mapping[str, str]  # jti → code
    most: int


class SignalStream:
    """One such door."""

    keeps_signals = True

    def __init__(self, settings: Settings) -> None:
        self._expected = Expected(settings.issuer, settings.audience, frozenset({TYPE}), needs_expiry=False)
        self._limit = settings.limit

    def judge(self, arrival: Arrival, signals: Signals) -> Verdict:
        """Return what *arrival* comes to: a signal to keep, or a poll."""
        if arrival.method == "POST" and not arrival.path:
            return self._kept(arrival, signals)
        if arrival.method == "POST" and arrival.path == "/poll":
            return self._polled(arrival.body, signals)
        return Verdict(self.refuse(Word.UNSUPPORTED), Word.UNSUPPORTED)

    def refuse(self, why: Word) -> Answer:
        """Return the status for *why*, with a code and a description as in RFC 8935, section 2.3."""
        code = "authentication_failed" if why is Word.UNPROVED else "invalid_request"
        return Answer.json(STATUSES.get(why, 400), {"err": code, "description": why.value})

    def _kept(self, arrival: Arrival, signals: Signals) -> Verdict:
        token = arrival.body.decode("ascii", errors="replace").strip()
        claims = verified(token, arrival.keys, self._expected, arrival.at)
        jti = claims.text("jti") if isinstance(claims, Claims) else None
        if isinstance(claims, Fault) or jti is None:
            code = "invalid_key" if isinstance(claims, Fault) and claims.why == "key" else "invalid_request"
            return Verdict(Answer.json(400, {"err": code, "description": "no signal of ours"}), Word.UNPROVED)
        if signals.count() >= self._limit:
            return Verdict(self.refuse(Word.UNAVAILABLE), Word.UNAVAILABLE)
        signals.keep(jti, token)
        return Verdict(Answer(202), Word.ACCEPTED)

    def _polled(self, body: bytes, signals: Signals) -> Verdict:
        asked = _read(body)
        if asked is None:
            return Verdict(self.refuse(Word.MALFORMED), Word.MALFORMED)
        signals.drop(asked.ack)
        for jti, code in asked.errors.items():
            signals.refused(jti, code)
        some = signals.first(asked.most)
        answer = {"sets": some, "moreAvailable": signals.count() > len(some)}
        return Verdict(Answer.json(200, answer), Word.ACCEPTED if some else Word.NOTHING)


def _read(body: bytes) -> _Poll | None:
    """Return what a receiver asks; None where that cannot be read."""
    try:
        document = decode(body) if body.strip() else {}
    except MalformedJsonError:
        return None
    if not isinstance(document, dict):
        return None
    ack, errors, most = document.get("ack", []), document.get("setErrs", {}), document.get("maxEvents", _DEFAULT)
    is_read = isinstance(ack, list) and all(isinstance(each, str) for each in ack) and isinstance(errors, dict)
    if not is_read or isinstance(most, bool) or not isinstance(most, int) or most < 0:
        return None
    return _Poll(ack, {jti: _code(each) for jti, each in errors.items()}, min(most, MAX_AT_ONCE))


def _code(error: Any) -> str:  # noqa: ANN401 - whatever a receiver writes
    code = error.get("err") if isinstance(error, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else "unknown"


KIND: Final = Kind("signal-stream", Settings, SignalStream, ())
