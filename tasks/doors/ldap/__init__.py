"""LDAP: the changes of a directory server, which we ask for; whom it disables or deletes is logged out everywhere."""

from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from tasks.doors.door import Kind
from tasks.doors.ldap.servers import SERVERS, Server
from tasks.doors.settings import CommonDoorSettings
from tasks.events import USER_DISABLED, USER_ENABLED
from tasks.hosts import is_loopback
from tasks.tls import SYSTEM_TRUST, TlsSettings

Way = Literal["syncrepl", "poll"]


class Settings(CommonDoorSettings):
    """A directory that `revoker ldap` follows."""

    url: str = Field(
        pattern=r"^ldaps?://[^/?#\s@]+$",
        max_length=512,
        description="Its server: ldaps://host[:port], or ldap:// with `starttls`; in clear to loopback alone",
    )
    starttls: bool = Field(default=False, description="TLS begins on the connection to ldap://, or nothing is said")
    tls: TlsSettings = Field(SYSTEM_TRUST, description="Files of TLS to the server")
    bind_dn: str | None = Field(None, min_length=1, max_length=512, description="Who we are there; unset: nobody")
    bind_password_file: Path | None = Field(
        None, description="File of the password of `bind_dn`, mode 0600; read at every connection"
    )
    server: Literal["openldap", "389-ds", "active-directory"] = Field(
        description="What it is: `openldap`, `389-ds` or `active-directory`; by that its attributes are read"
    )
    base: str = Field(min_length=1, max_length=1024, description="DN below which its people are")
    filter: str = Field(
        "",
        max_length=1024,
        pattern=r"^(\(.+\))?$",
        description="Which entries are people; unset: `(objectClass=inetOrgPerson)`, of Active Directory "
        "`(&(objectCategory=person)(objectClass=user))`",
    )
    way: Way | None = Field(
        None,
        description="How changes are read: `syncrepl` (told at once) or `poll`; unset: `syncrepl`, of Active Directory "
        "`poll`, which is its only way",
    )
    user_attribute: str = Field(
        "",
        pattern=r"^[A-Za-z0-9-]*$",
        description="Attribute of the name by which events call a person; unset: `uid`, of "
        "Active Directory `userPrincipalName`, or `sAMAccountName` of whoever has none",
    )
    subject_attribute: str | None = Field(
        None, pattern=r"^[A-Za-z0-9-]+$", description="Attribute of the user id at a provider; needs `subject_issuer`"
    )
    subject_issuer: str | None = Field(
        None,
        min_length=1,
        max_length=512,
        description="The `iss` by which events name its people, with that id as `sub`; equal to a provider's "
        "`subject_issuer`",
    )
    disabled_values: dict[str, str] = Field(
        {},
        max_length=8,
        description='What else disables a person: attributes and the value that does, e.g. `{ employeeType = "left" }`',
    )
    largest_change: int = Field(
        20,
        ge=1,
        le=1_000_000,
        description="People whom the server may disable, enable or delete at once; more: it waits for an operator",
    )
    poll_interval: float = Field(5.0, ge=0.2, le=3600, description="Seconds between two looks for changes (`poll`)")
    listing_interval: float = Field(
        3600.0,
        ge=1,
        le=86_400,
        description="Seconds between two listings of everybody: they find what was missed",
    )
    server_timeout: float = Field(30.0, ge=1, le=600, description="Seconds for an answer of the server")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        address = urlsplit(self.url)
        if self.starttls and address.scheme == "ldaps":
            raise ValueError("starttls: only with ldap://")
        if address.scheme == "ldap" and not self.starttls and not is_loopback(address.hostname or ""):
            raise ValueError("url: names and passwords would go in clear; use ldaps:// or starttls = true")
        if (self.bind_dn is None) != (self.bind_password_file is None):
            raise ValueError("set bind_dn and bind_password_file, or neither")
        if (self.subject_attribute is None) != (self.subject_issuer is None):
            raise ValueError("set subject_attribute and subject_issuer, or neither")
        if self.way == "syncrepl" and not self.of_server.has_syncrepl:
            raise ValueError("way: this server has no syncrepl; use poll")
        return self

    @property
    def of_server(self) -> Server:
        """What is particular to its server."""
        return SERVERS[self.server]

    @property
    def is_pushed(self) -> bool:
        """Nobody sends to this door: it has no URL, and asks for no proof."""
        return False

    @property
    def people(self) -> str:
        """The filter of its people."""
        return self.filter or self.of_server.people

    @property
    def follows(self) -> bool:
        """Whether the server tells of changes by itself."""
        return (self.way or ("syncrepl" if self.of_server.has_syncrepl else "poll")) == "syncrepl"

    @property
    def user_names(self) -> tuple[str, ...]:
        """The attributes of a person's name: the first that they have."""
        return (self.user_attribute,) if self.user_attribute else self.of_server.user_names


KIND: Final = Kind("ldap", Settings, None, (USER_DISABLED, USER_ENABLED))
