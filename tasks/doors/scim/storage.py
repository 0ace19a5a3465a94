"""The storage of scim2-server over the accounts of a door: it notes each change of who is active."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from scim2_models import (
    NotFoundException,
    PayloadTooLargeException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SearchRequest,
    UniquenessException,
)
from scim2_models.path import CompareOperator, Comparison
from scim2_server.storage import ScimStorage, SearchPage

from tasks.doors.accounts import Account, Accounts, NameTaken
from tasks.doors.scim.model import User, changed, etag, resource_of

_TICK: Final = timedelta(milliseconds=1)  # by which two changes of one account differ at least


@dataclass(frozen=True, slots=True)
class Transition:
    """An account that a directory has activated or deactivated."""

    account: Account
    is_active: bool


@dataclass(slots=True)
class AccountStorage(ScimStorage):
    """Over *accounts*, for one request that came at *at*; at most *limit* accounts."""

    accounts: Accounts
    at: datetime
    limit: int
    transitions: list[Transition] = field(default_factory=list)

    def get(
        self,
        resource_type: ResourceType,  # noqa: ARG002 - there is one
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,  # noqa: ARG002 - the server leaves out the rest
    ) -> User:
        """Return the account of this id."""
        return resource_of(self._account(resource_id))

    def search(
        self,
        resource_types: list[ResourceType],  # noqa: ARG002 - there is one
        search_request: SearchRequest[Any],
        *,
        position: object = None,  # noqa: ARG002 - of a cursor: pages go by index
    ) -> SearchPage:
        """Return a page of those that match: by name or by the directory's id at once, else one after the other."""
        matches = search_request.filter
        found = [
            user
            for account in self._candidates(matches)
            if (user := resource_of(account)) is not None and (matches is None or matches.match(user))
        ]
        start = search_request.start_index_0 or 0
        stop = None if search_request.count is None else start + search_request.count
        return SearchPage(len(found), list[Resource[Any]](found[start:stop]))

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> User:  # noqa: ARG002 - there is one
        """Keep a new account; whoever comes inactive was never logged in by it: that changes nobody."""
        user = _user(resource)
        if self.accounts.count() >= self.limit:
            raise PayloadTooLargeException(detail="no room for another account")
        account = Account(
            uuid4().hex, user.user_name or "", user.external_id, user.active is not False, 1, self.at, self.at
        )
        self._put(account)
        return resource_of(account)

    def update(
        self,
        resource_type: ResourceType,  # noqa: ARG002 - there is one
        resource: Resource[Any],
        *,
        expected_version: str | None = None,
    ) -> User:
        """Keep what an account is now."""
        user = _user(resource)
        before = self._expected(str(user.id), expected_version)
        after = changed(before, user, self._after(before))
        self._put(after)
        if after.is_active != before.is_active:
            self.transitions.append(Transition(after, after.is_active))
        return resource_of(after)

    def delete(
        self,
        resource_type: ResourceType,  # noqa: ARG002 - there is one
        resource_id: str,
        *,
        expected_version: str | None = None,
    ) -> None:
        """Forget an account; whoever was active is so no more."""
        before = self._expected(resource_id, expected_version)
        self.accounts.remove(resource_id)
        if before.is_active:
            gone = changed(before, User(active=False, external_id=before.external_id), self._after(before))
            self.transitions.append(Transition(gone, is_active=False))

    def _after(self, account: Account) -> datetime:
        return max(self.at, account.changed + _TICK)

    def _account(self, account_id: str) -> Account:
        if (account := self.accounts.get(account_id)) is None:
            raise NotFoundException
        return account

    def _expected(self, account_id: str, version: str | None) -> Account:
        account = self._account(account_id)
        if version is not None and version != etag(account.version):
            raise PreconditionFailedException
        return account

    def _put(self, account: Account) -> None:
        try:
            self.accounts.put(account)
        except NameTaken:
            raise UniquenessException(detail="another account has this userName") from None

    def _candidates(self, matches: Any) -> Iterable[Account]:  # noqa: ANN401 - a filter of a generic model
        node = matches.ast if matches is not None else None
        if not isinstance(node, Comparison) or node.op != CompareOperator.eq or not isinstance(node.value, str):
            return self.accounts.all()
        match str(node.attr_path).rpartition(":")[2].casefold():
            case "username":
                return filter(None, [self.accounts.named(node.value)])
            case "externalid":
                return self.accounts.known_as(node.value)
            case "id":
                return filter(None, [self.accounts.get(node.value)])
        return self.accounts.all()


def _user(resource: Resource[Any]) -> User:
    assert isinstance(resource, User), "the one model of the provider"  # noqa: S101
    return resource
