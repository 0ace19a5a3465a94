"""Sign-in by user name and password."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Final

from worker.console.sign_in.person import NotSignedIn, Person
from worker.console.sign_in.sessions import Sessions
from worker.ledger import Ledger
from worker.operations import passwords
from worker.operations.console_users import User, UsersFileError, read_users, renew_hash

logger = logging.getLogger(__name__)

WRONG: Final = "User name and password do not fit together."


class ByPassword:
    """Checks a password; whoever has none here costs the same work."""

    def __init__(self, path: Path, sessions: Sessions, ledger: Ledger) -> None:
        self._path, self._sessions, self._ledger = path, sessions, ledger

    def person(self, name: str, password: str) -> Person:
        """Return the user *name*. Raises NotSignedIn, UsersFileError, LedgerUnavailable."""
        user = read_users(self._path).get(name)
        if not passwords.is_right(password, user.password if user else None) or user is None:
            raise NotSignedIn(WRONG, "password", name if user else None)
        names = (name, *user.known_as)
        if self._ledger.is_disabled(self._sessions.hashes(names), user.since):
            raise NotSignedIn(
                f"{name} was disabled by an event. If that is over: `revoker console users add {name} --replace`.",
                "disabled",
                name,
            )
        self._renew(name, user, password)
        return Person(name, user.role, "password", names)

    def _renew(self, name: str, user: User, password: str) -> None:
        """Keep a hash with today's parameters; a file that cannot be written keeps the old one."""
        if passwords.is_outdated(user.password):
            with suppress(UsersFileError):
                try:
                    renew_hash(self._path, name, user, password)
                except OSError as error:
                    logger.warning("console.hash_not_renewed", extra={"error": error.strerror})
