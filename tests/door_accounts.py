"""What a door keeps, for adapters and looks that are tried alone."""

from collections.abc import Iterable, Iterator

from tasks.doors.accounts import Account, NameTaken


class KeptAccounts:
    """The accounts of a door, in memory."""

    def __init__(self, accounts: Iterable[Account] = ()) -> None:
        self._all = {each.account_id: each for each in accounts}

    def get(self, account_id: str) -> Account | None:
        """Return the account of this id."""
        return self._all.get(account_id)

    def named(self, user_name: str) -> Account | None:
        """Return the account of this user name."""
        return next((each for each in self._all.values() if each.user_name.lower() == user_name.lower()), None)

    def known_as(self, external_id: str) -> list[Account]:
        """Return the accounts that the directory knows by this id."""
        return [each for each in self._all.values() if each.external_id == external_id]

    def count(self) -> int:
        """Return how many there are."""
        return len(self._all)

    def all(self) -> Iterator[Account]:
        """Return every account."""
        return iter([*self._all.values()])

    def put(self, account: Account) -> None:
        """Keep *account*."""
        if (other := self.named(account.user_name)) and other.account_id != account.account_id:
            raise NameTaken
        self._all[account.account_id] = account

    def remove(self, account_id: str) -> None:
        """Forget the account of this id."""
        self._all.pop(account_id, None)
