"""Polling for Security Event Tokens (RFC 8936): what a transmitter keeps for us until we acknowledge it.

The cursor holds what the next poll acknowledges and refuses: by then the events are safe. A process that is killed
before that polls the same tokens again.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Final

from joserfc.jwk import KeySet
from pydantic import SecretStr
from yarl import URL

from tasks.doors.access import Access, authorization
from tasks.doors.door import Arrival, ForeignEvent, Verdict
from tasks.doors.pull import Found, PullFailed, Reach
from tasks.doors.security_event_tokens import SecurityEventTokens, Settings
from tasks.events import InvalidEvent
from tasks.outcome import Reason
from tasks.providers.answers import Answer
from tasks.providers.provider import Request

HELD: Final = 1.0  # seconds: an empty answer that came faster was not a long poll
KEYLESS: Final = 3600.0  # seconds for which a token may wait for the key that signed it to be shown
_TAKEN: Final = range(200, 300)


@dataclass(slots=True)
class _Said:
    """What the next poll tells of the tokens of the last one."""

    ack: list[str] = field(default_factory=list)
    setErrs: dict[str, dict[str, str]] = field(default_factory=dict)  # noqa: N815 - as in RFC 8936
    keyless: dict[str, float] = field(default_factory=dict)  # jti → since when, in seconds since 1970: of neither

    @property
    def settled(self) -> frozenset[str]:
        """The tokens of which the transmitter has to hear."""
        return frozenset([*self.ack, *self.setErrs])


class SecurityEventPoll:
    """The poll of one stream."""

    def __init__(self, settings: Settings, reach: Reach) -> None:
        self._url, self._size = URL(str(settings.poll_url), encoded=True), settings.poll_size
        self._adapter, self._reach = SecurityEventTokens(settings), reach
        self._access = Access(settings, reach.edge)

    async def pull(self, cursor: str | None, now: datetime) -> Found:
        """Return the events of the tokens that the transmitter has for us, having told it of the last ones."""
        said = _Said(**json.loads(cursor)) if cursor else _Said()
        keys = await self._keys(anew=False)
        began = asyncio.get_running_loop().time()
        answer = await self._access.send(lambda bearer: self._request(said, bearer))
        sets = _read(answer)
        was_held = asyncio.get_running_loop().time() - began >= HELD
        verdicts = self._judged(sets, keys, now)
        if any(each.wants_keys for each in verdicts.values()):
            verdicts = self._judged(sets, await self._keys(anew=True), now)
        next_said, events = self._taken(verdicts, said, now)
        # A transmitter that sends on what it was told of is not asked at once: that would have no end.
        more = bool(next_said.settled - said.settled) or (was_held and not sets)
        refused = Counter(each["err"] for each in next_said.setErrs.values())
        return Found(events, json.dumps(asdict(next_said)), more, refused)

    async def close(self) -> None:
        """Nothing is open between two polls."""

    async def _keys(self, *, anew: bool) -> KeySet:
        keys = await self._reach.keys(anew)
        if keys is None:
            raise PullFailed("keys.unread")
        return keys

    def _request(self, said: _Said, bearer: SecretStr | None) -> Request:
        """While something is to be told, the answer is not waited for; else the transmitter may hold it."""
        asked = {"maxEvents": self._size, "returnImmediately": bool(said.settled)}
        body = {"ack": said.ack, "setErrs": said.setErrs, **asked}
        headers = {"Content-Type": "application/json", "Accept": "application/json", **authorization(bearer)}
        return Request("POST", self._url, headers, json.dumps(body).encode(), (bearer,) if bearer else ())

    def _judged(self, sets: Mapping[str, str], keys: KeySet, now: datetime) -> dict[str, Verdict]:
        """Return what each token comes to, as if it had been pushed."""
        bodies = {jti: token.encode(errors="replace") for jti, token in sets.items()}
        return {jti: self._adapter.judge(Arrival("POST", "", "", {}, body, now, keys)) for jti, body in bodies.items()}

    def _taken(
        self, verdicts: Mapping[str, Verdict], before: _Said, now: datetime
    ) -> tuple[_Said, tuple[ForeignEvent, ...]]:
        """Return what the transmitter is told of each token, and the events of those that are acknowledged."""
        said = _Said()
        events: list[ForeignEvent] = []
        for jti, verdict in verdicts.items():
            since = before.keyless.get(jti, now.timestamp())
            if verdict.wants_keys and now.timestamp() - since < KEYLESS:
                said.keyless[jti] = since
            elif error := _error(verdict, now):
                said.setErrs[jti] = error
            else:
                said.ack.append(jti)
                events += verdict.events
        return said, tuple(events)


def _error(verdict: Verdict, now: datetime) -> dict[str, str] | None:
    """Return the error that a transmitter is told of a token; None: it is taken."""
    if verdict.answer.status not in _TAKEN:
        said = json.loads(verdict.answer.body)
        return {"err": said["err"], "description": said["description"]}
    if any(isinstance(each.parsed("https://source.invalid", now), InvalidEvent) for each in verdict.events):
        return {"err": "invalid_request", "description": "an event has a subject or time that is not taken"}
    return None


def _read(answer: Answer) -> dict[str, str]:
    """Return the tokens of *answer* by their jti. Raises PullFailed."""
    sets = answer.members().get("sets")
    if not isinstance(sets, dict) or not all(isinstance(each, str) for each in sets.values()):
        raise PullFailed(Reason.PROVIDER_BAD_REPLY, answer.retry_after)
    return sets
