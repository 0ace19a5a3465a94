"""Doors at whose source a process of ours looks by itself, beside what the source pushes or in its place."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from tasks.doors.settings import CommonDoorSettings
from tasks.hosts import is_loopback
from tasks.tls import SYSTEM_TRUST, TlsSettings

_PRINTABLE = r"^[!-~]+$"


class Finding(StrEnum):
    """What a look at the source found an event to be, for the metric."""

    KNOWN = "known"  # it came before
    MISSED = "missed"  # the push did not bring it, and had time enough
    EARLY = "early"  # the push did not bring it yet, and still may
    TAKEN = "taken"  # the source pushes nothing here
    REFUSED = "refused"  # the intake would take it for none


class SweptDoorSettings(CommonDoorSettings):
    """The settings that a door has whose kind can look at the source."""

    sweep_interval: float = Field(60.0, ge=0.1, le=86_400, description="Seconds between two looks at the source")
    sweep_grace: float = Field(
        60.0,
        ge=0,
        le=86_400,
        description="Seconds in which the source's own push must have come: what a look finds first that is older "
        "counts as missed",
    )
    sweep_timeout: float = Field(30.0, ge=0.1, le=600, description="Seconds for one answer of the source")
    tls: TlsSettings = SYSTEM_TRUST

    @property
    def is_swept(self) -> bool:
        """Whether the source is looked at."""
        return True


def endpoint_fault(url: str) -> str | None:
    """Why *url* is no endpoint that we would show a token to, if it is none."""
    try:
        parts = urlsplit(url)
        is_plain = parts.hostname and parts.port != 0 and not (parts.username or parts.password or parts.fragment)
    except ValueError:
        return "must be a URL"
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    return None if is_plain and is_safe else "must start with https:// (http:// is for loopback hosts only)"


def _endpoint(url: str) -> str:
    if fault := endpoint_fault(url):
        raise ValueError(fault)
    return url


EndpointUrl = Annotated[str, Field(max_length=1024, pattern=_PRINTABLE), AfterValidator(_endpoint)]


class AccessSettings(SweptDoorSettings):
    """Those of a kind whose source asks who looks: by a bearer token of its own, or as an OAuth client."""

    access_token_file: Path | None = Field(
        None, description="File of the bearer token that the source gave us, mode 0600; read at each look"
    )
    token_url: EndpointUrl | None = Field(
        None, description="Token endpoint of the source instead, for the grant client credentials (RFC 6749)"
    )
    client_id: str | None = Field(None, pattern=_PRINTABLE, max_length=256, description="Our name there")
    client_secret_file: Path | None = Field(None, description="File of our secret there, mode 0600")
    scope: str = Field("", max_length=1024, description="Scopes that are asked for there")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        oauth = (self.token_url, self.client_id, self.client_secret_file)
        if any(oauth) and not all(oauth):
            raise ValueError("token_url, client_id and client_secret_file: set all three, or none")
        if any(oauth) and self.access_token_file:
            raise ValueError("set access_token_file or token_url, and not both")
        return self

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """Its files of secrets."""
        mine = (self.access_token_file, self.client_secret_file)
        return (*super().secret_files, *filter(None, mine))
