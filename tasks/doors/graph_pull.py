"""The delta query of Microsoft Graph: which users of a tenant are disabled or deleted, page by page.

It is asked for `accountEnabled` alone, so that nobody else's profile comes along. The first round lists everybody: who
is disabled then is known and logged out by nothing. From then on whoever becomes so is an event, also where Graph has
forgotten our place and lists everybody again. Only people who are disabled, or once were, are kept.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import SecretStr
from yarl import URL

from tasks.doors.accounts import Account, Accounts
from tasks.doors.door import ForeignEvent
from tasks.doors.graph import Settings
from tasks.doors.graph_subscription import NO_LEASE, Lease, Subscription
from tasks.doors.pull import Found, PullFailed, Reach, answered
from tasks.events import USER_DISABLED, USER_ENABLED
from tasks.outcome import CredentialFault, Transient
from tasks.providers.answers import Answer
from tasks.providers.oauth import Login
from tasks.providers.provider import Request

_FIRST: Final = "/v1.0/users/delta?$select=accountEnabled"
_USER: Final = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)  # a GUID
_UNAUTHORIZED: Final = 401
_RESTARTS: Final = (400, 404, 410)  # may mean that our place is no longer known
_FORGOTTEN: Final = frozenset({"syncStateNotFound", "syncStateInvalid", "resyncRequired"})  # of a delta query
_GONE: Final = 410


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next page is, and how the subscription stands."""

    link: str | None = None  # None: a round that lists everybody begins
    is_first: bool = True  # nobody is known yet
    lease: Lease = NO_LEASE

    @classmethod
    def of(cls, cursor: str | None) -> "Place":
        """Return the one that a cursor holds."""
        if cursor is None:
            return cls()
        link, is_first, *lease = json.loads(cursor)
        return cls(link, is_first, Lease(*lease))

    @property
    def text(self) -> str:
        """The cursor."""
        return json.dumps([self.link, self.is_first, self.lease.id, self.lease.renewed])


class GraphPull:
    """The look of one door at its tenant."""

    def __init__(self, settings: Settings, reach: Reach) -> None:
        self._settings, self._edge = settings, reach.edge
        self._login = Login(reach.edge, lambda: _login(settings))
        self._subscription = Subscription(settings, self._send)

    async def pull(self, cursor: str | None, now: datetime) -> Found:
        """Return the next page. Raises PullFailed."""
        place = Place.of(cursor)
        link = place.link or self._settings.graph_url + _FIRST
        answer = answered(await self._send("GET", URL(link, encoded=True), None), also=_RESTARTS)
        if not answer.is_success:
            return Found((), _restarted(place, answer).text, more=True)
        page = answer.document()
        following, last = (self._link(page.get(f"@odata.{name}")) for name in ("nextLink", "deltaLink"))
        rows = page.get("value")
        if not isinstance(rows, list) or (following or last) is None:
            raise PullFailed("reply.bad")
        then = Place(following or last, place.is_first and not last, place.lease)
        if last:
            then = replace(then, lease=await self._subscription.kept(place.lease, now))
        return Found((), then.text, more=last is None, news=(rows, place.is_first))

    def settle(self, news: object, accounts: Accounts, now: datetime) -> tuple[ForeignEvent, ...]:
        """Return the events of a page, with *accounts* as it says."""
        if not isinstance(news, tuple):
            return ()
        rows, is_first = news
        told = [self._told(row, accounts, now) for row in rows if isinstance(row, dict)]
        return () if is_first else tuple(each for each in told if each)

    async def close(self) -> None:
        """Nothing was opened."""

    def _told(self, row: Mapping[str, Any], accounts: Accounts, now: datetime) -> ForeignEvent | None:
        """Return the event of a user who is disabled or enabled from now on."""
        user, is_out = row.get("id"), _is_out(row)
        if not isinstance(user, str) or not _USER.fullmatch(user):
            return None
        account = accounts.get(user)
        was_out = account is not None and not account.is_active
        if is_out in {None, was_out}:
            return None
        version, created = (account.version + 1, account.created) if account else (1, now)
        accounts.put(Account(user, user, None, is_active=not is_out, version=version, created=created, changed=now))
        reason = "deleted" if "@removed" in row else "accountEnabled"
        data = {"sub_id": {"format": "iss_sub", "iss": self._settings.subject_issuer, "sub": user}, "reason": reason}
        name = f"{user}:{version}:{int(now.timestamp())}"
        return ForeignEvent(USER_DISABLED if is_out else USER_ENABLED, name, now, data)

    async def _send(self, method: str, url: URL, body: object) -> Answer | Transient | CredentialFault:
        """Ask as our application, which logs in anew where its token is refused."""

        def build(bearer: SecretStr) -> Request:
            headers = {"Accept": "application/json", "Authorization": f"Bearer {bearer.get_secret_value()}"}
            written = None if body is None else json.dumps(body).encode()
            typed = {} if body is None else {"Content-Type": "application/json"}
            return Request(method, url, {**headers, **typed}, written, (bearer,))

        deadline = self._edge.deadline()
        return await self._login.send(build, deadline, lambda answer: answer.status == _UNAUTHORIZED)

    def _link(self, written: object) -> str | None:
        """*written*, where our token may be sent there."""
        return written if isinstance(written, str) and written.startswith(f"{self._settings.graph_url}/") else None


def _is_out(row: Mapping[str, Any]) -> bool | None:
    """Whether *row* says that its user is disabled or deleted; None where it does not say."""
    enabled = row.get("accountEnabled")
    return True if "@removed" in row else (not enabled if isinstance(enabled, bool) else None)


def _restarted(place: Place, answer: Answer) -> Place:
    """A new round, because our place is no longer known there. Raises PullFailed where that is not why."""
    error = answer.document().get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if place.link is None or not (answer.status == _GONE or code in _FORGOTTEN):
        raise PullFailed(answer.reason)
    return replace(place, link=None)


def _login(settings: Settings) -> Request:
    """The client credentials grant as Microsoft Entra has it: with a scope, and the secret in the form."""
    form = {
        "grant_type": "client_credentials",
        "client_id": settings.client_id,
        "client_secret": settings.client_secret.get_secret_value(),
        "scope": f"{settings.graph_url}/.default",
    }
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    url = URL(f"{settings.login_url}/{settings.tenant}/oauth2/v2.0/token", encoded=True)
    return Request("POST", url, headers, urlencode(form).encode(), (settings.client_secret,))
