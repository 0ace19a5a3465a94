"""Sessions: kept in the ledger, so that others can end them. A browser holds a secret, the ledger its hash."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tasks.subject_index import SubjectIndex
from worker.console.sign_in.person import Person
from worker.console.sign_in.roles import Role, SignedIn
from worker.ledger import Ledger, LedgerUnavailable
from worker.ledger.console_sessions import ConsoleSession
from worker.operations.console_sessions import is_over
from worker.operations.console_users import User, read_users
from worker.settings import Settings
from worker.settings.files import Mark, marks

SECRET: Final = 32  # bytes of chance in a cookie
TOUCH_INTERVAL: Final = timedelta(seconds=30)  # between two writings of when somebody was at work
LONGEST_ADDRESS: Final = 64  # characters


@dataclass(frozen=True, slots=True)
class Begun:
    """A new session, and the secret that the browser keeps."""

    secret: str
    signed_in: SignedIn


class Sessions:
    """Begins, finds and ends sessions; every method asks the ledger, and raises LedgerUnavailable."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings, self._ledger = settings, ledger
        self._names: SubjectIndex = settings.subjects()
        self._users: tuple[Sequence[Mark], Mapping[str, User]] | None = None

    def hashes(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the lookup hashes of a person's *names*, as events are found by them."""
        return tuple(dict.fromkeys(map(self._names.lookup, names)))

    def begin(self, person: Person, address: str) -> Begun:
        """Sign *person* in. Sessions that are over by their age are cleared away on the way."""
        now, secret = datetime.now(UTC), secrets.token_urlsafe(SECRET)
        length, idle = self._settings.console.session_length, self._settings.console.session_idle
        self._ledger.forget_console_sessions(now - timedelta(seconds=length), now - timedelta(seconds=idle))
        session = ConsoleSession(
            digest=_digest(secret),
            session_id=secrets.token_hex(5),
            name=person.name,
            role=person.role.value,
            means=person.means,
            address=address[:LONGEST_ADDRESS],
            known_as=self.hashes(person.known_as),
            created=now,
            seen=now,
            idp_subject=person.idp_subject and self._names.lookup(person.idp_subject),
            idp_session=person.idp_session and self._names.lookup(person.idp_session),
        )
        self._ledger.add_console_session(session)
        return Begun(secret, self.whose(session))

    def find(self, secret: str) -> ConsoleSession | None:
        """Return the session that the cookie *secret* names, while it stands."""
        session = self._ledger.console_session(_digest(secret)) if secret else None
        if session is None or is_over(self._settings.console, session, datetime.now(UTC)):
            return None
        return session if self._may_still(session) else None

    def touch(self, session: ConsoleSession) -> None:
        """Have *session* go on: somebody is at work in it."""
        with suppress(LedgerUnavailable):  # who only reads needs no ledger that can be written
            self._ledger.touch_console_session(session.digest, datetime.now(UTC))

    def end(self, secret: str) -> None:
        """Sign out."""
        self._ledger.end_console_sessions([_digest(secret)])

    def end_at_idp(self, subject: str | None, session: str | None) -> int:
        """End what the OpenID provider says is over there; returns how many sessions that were."""
        hashes = (each and self._names.lookup(each) for each in (subject, session))
        return self._ledger.end_console_sessions_at_idp(*hashes)

    @staticmethod
    def whose(session: ConsoleSession) -> SignedIn:
        """Return who is signed in by *session*."""
        return SignedIn(session.name, Role(session.role), session.session_id)

    @staticmethod
    def is_due(session: ConsoleSession) -> bool:
        """Whether it was noted some time ago that somebody is at work in *session*."""
        return datetime.now(UTC) - session.seen > TOUCH_INTERVAL

    def _may_still(self, session: ConsoleSession) -> bool:
        """Whether the settings still let them in: the users' file may have changed since."""
        if session.means != "password":
            return self._settings.console.oidc is not None
        user = self._current_users().get(session.name)
        return user is not None and user.role == session.role and user.since <= session.created

    def _current_users(self) -> Mapping[str, User]:
        path = self._settings.console.users_file
        state = marks([path])
        if self._users is None or self._users[0] != state:
            self._users = state, read_users(path)
        return self._users[1]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
