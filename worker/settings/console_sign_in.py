"""The settings of the console's sign-in: what a role is, and the provider of identities that may give one."""

from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from tasks.hosts import is_host, is_loopback
from tasks.strict_model import StrictModel
from tasks.tls import SYSTEM_TRUST, TlsSettings

VISIBLE: Final = r"^[!-~]+$"


class Role(StrEnum):
    """What somebody at the console may do."""

    VIEWER = "viewer"  # sees everything, changes nothing
    OPERATOR = "operator"  # changes, too


def is_fit_url(url: object) -> bool:
    """Whether *url* is one that secrets may go to: https, or http on loopback; without user name and fragment."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts is None or parts.port == 0:
            return False
    except ValueError:
        return False
    host = parts.hostname or ""
    is_private = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    return is_private and is_host(host) and parts.username is None and not parts.fragment


def _issuer(url: str) -> str:
    if not is_fit_url(url) or urlsplit(url).query:
        raise ValueError("must be the issuer's https:// URL without query, letter for letter as its tokens name it")
    return url


Claim = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class OidcSettings(StrictModel):
    """An OpenID provider that people sign in at, by the authorization code flow."""

    issuer: Annotated[str, AfterValidator(_issuer)] = Field(description="Its issuer, as it stands in its tokens")
    client_id: Annotated[str, StringConstraints(max_length=256, pattern=VISIBLE)] = Field(
        description="The console's name there; its redirect URI is `console.public_url` and /sign-in/callback"
    )
    client_secret: SecretStr | None = Field(None, description="The console's secret there; unset: a public client")
    scopes: Annotated[str, StringConstraints(max_length=512, pattern=r"^openid( [!#-\[\]-~]+)*$")] = Field(
        "openid profile email", description="What is asked for: `openid` first, and what brings the claims below"
    )
    name_claim: Claim = Field("email", description="Claim by which people are called; where it says nothing, `sub`")
    role_claim: Claim = Field("groups", description="Claim, a text or a list of texts, whose values give a role")
    roles: Annotated[dict[Claim, Role], Field(min_length=1)] = Field(
        description="`viewer` or `operator` by value of that claim; nobody else is let in"
    )
    timeout: float = Field(10.0, ge=0.5, le=60, description="Seconds for one whole exchange with it")
    tls: TlsSettings = SYSTEM_TRUST
