"""The accounts that a door keeps: as much of each person as a directory must find again, and nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Account:
    """A person as a directory calls them, and whether they may be logged in."""

    account_id: str  # ours
    user_name: str = field(repr=False)
    external_id: str | None = field(repr=False)  # the directory's
    is_active: bool
    version: int  # counts its changes
    created: datetime
    changed: datetime


class NameTaken(Exception):  # noqa: N818 - what is the case
    """Another account has this user name."""


class Accounts(Protocol):
    """Those of one door, in one transaction."""

    def get(self, account_id: str) -> Account | None:
        """Return the account of this id."""

    def named(self, user_name: str) -> Account | None:
        """Return the account of this user name, in whatever capitals."""

    def known_as(self, external_id: str) -> list[Account]:
        """Return the accounts that the directory knows by this id."""

    def count(self) -> int:
        """Return how many there are."""

    def all(self) -> Iterator[Account]:
        """Return every account, by its age."""

    def put(self, account: Account) -> None:
        """Keep *account*, in place of what has its id. Raises NameTaken."""

    def remove(self, account_id: str) -> None:
        """Forget the account of this id."""
