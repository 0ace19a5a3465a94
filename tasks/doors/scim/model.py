"""What we keep of a SCIM user, as a SCIM resource; and how tolerant we are of what directories send."""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import field_validator
from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    ETag,
    Filter,
    Meta,
    Patch,
    Required,
    Resource,
    ResourceType,
    Schema,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)
from scim2_models import User as WholeUser

from tasks.doors.accounts import Account

MAX_RESULTS: Final = 200  # accounts in an answer
MAX_NAME: Final = 256  # characters
_WORDS: Final = {"true": True, "false": False, "1": True, "0": False}


class User(Resource[Any]):
    """A User of RFC 7643 section 4.1, of which we keep these attributes: all others are accepted and forgotten."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    active: bool | None = None

    @field_validator("active", mode="before")
    @classmethod
    def _spoken(cls, value: object) -> object:
        """Directories send `"False"` as well as false."""
        return _WORDS.get(value.strip().casefold(), value) if isinstance(value, str) else value

    @field_validator("user_name", "external_id")
    @classmethod
    def _bounded(cls, value: str | None) -> str | None:
        if value is not None and not 0 < len(value.strip()) <= MAX_NAME:
            raise ValueError("must be a text of 1 to 256 characters")
        return value


POLICY: Final = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)

CONFIG: Final = ServiceProviderConfig(
    patch=Patch(supported=True),
    bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
    filter=Filter(supported=True, max_results=MAX_RESULTS),
    change_password=ChangePassword(supported=False),
    sort=Sort(supported=False),
    etag=ETag(supported=True),
    authentication_schemes=[
        AuthenticationScheme(
            type=AuthenticationScheme.Type.oauthbearertoken,
            name="Bearer token",
            description="A secret in the header Authorization",
        )
    ],
)

PROVIDER: Final = ScimProvider([User], [ResourceType.from_resource(User)], CONFIG, POLICY)


class _WholeSchema(ScimProvider):
    """Announces the whole User of RFC 7643, for directories that build on each attribute of it."""

    @property
    def schemas(self) -> tuple[Schema, ...]:
        """Return that schema."""
        return (WholeUser.to_schema(),)


ANNOUNCING_ALL: Final = _WholeSchema([User], [ResourceType.from_resource(User)], CONFIG, POLICY)


def etag(version: int) -> str:
    """Return the ETag of a *version*."""
    return f'W/"{version}"'


def resource_of(account: Account) -> User:
    """Return *account* as a directory sees it."""
    meta = Meta(
        resource_type="User", created=account.created, last_modified=account.changed, version=etag(account.version)
    )
    return User(
        id=account.account_id,
        external_id=account.external_id,
        user_name=account.user_name,
        active=account.is_active,
        meta=meta,
    )


def changed(account: Account, user: User, at: datetime) -> Account:
    """Return *account* as *user* has it. What does not say whether they are active leaves that as it was."""
    return Account(
        account.account_id,
        user.user_name or account.user_name,
        user.external_id,
        account.is_active if user.active is None else user.active,
        account.version + 1,
        account.created,
        at,
    )
