"""SCIM 2.0: a directory provisions us as it does any application, and whom it deactivates is logged out everywhere."""

from typing import Final

from pydantic import Field

from tasks.doors.door import AccountAdapter, Kind
from tasks.doors.settings import CommonDoorSettings
from tasks.events import USER_DISABLED, USER_ENABLED


class Settings(CommonDoorSettings):
    """A door of this kind."""

    url: str = Field(
        pattern=r"^https?://[^/?#\s]+[^?#\s]*$",
        max_length=512,
        description="How the directory reaches this door, e.g. https://revoker.example.com/scim: the base of the URLs "
        "that it is told",
    )
    subject_issuer: str | None = Field(
        None,
        min_length=1,
        max_length=512,
        description="The `iss` by which events name its people, with their externalId as `sub`; equal to a provider's "
        "`subject_issuer` where externalId is the user id there",
    )
    whole_schema: bool = Field(
        default=False,
        description="Announces every attribute of a User at `/Schemas`, though few are kept: for a directory that "
        "cannot do without them (Canaille)",
    )
    accounts: int = Field(100_000, ge=1, le=10_000_000, description="Accounts at most; one more is refused (413)")


def _make(settings: Settings) -> AccountAdapter:
    from tasks.doors.scim.adapter import Scim  # noqa: PLC0415 - an extra, which other kinds do without

    return Scim(settings)


KIND: Final = Kind("scim", Settings, _make, (USER_DISABLED, USER_ENABLED))
