"""Somebody who proved who they are, and who is not signed in yet."""

from dataclasses import dataclass
from typing import Literal

from worker.settings.console_sign_in import Role

Means = Literal["password", "oidc"]


@dataclass(frozen=True, slots=True)
class Person:
    """Who it is, what they may do, how they proved it, and every name by which events may know them."""

    name: str  # as the audit has it
    role: Role
    means: Means
    known_as: tuple[str, ...]
    idp_subject: str | None = None  # `sub` and `sid` at the OpenID provider
    idp_session: str | None = None


class NotSignedIn(Exception):  # noqa: N818 - what is the case
    """The sign-in failed. One sentence for whoever tried.

    *why* and *account* are for the log: neither holds what a stranger typed, which may be a password in a wrong field.
    """

    def __init__(self, text: str, why: str, account: str | None = None) -> None:
        super().__init__(text)
        self.why, self.account = why, account
