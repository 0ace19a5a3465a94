"""How a Genesys Cloud instance is configured."""

from collections.abc import Mapping
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.providers.kind import BaseUrl, CommonSettings, HeaderSecret
from tasks.strict_model import ASKED

# Genesys Cloud Resource Center, "AWS regions for Genesys Cloud deployment": region → domain of its `api.` and `login.`.
REGIONS: Final[Mapping[str, str]] = {
    "us-east-1": "mypurecloud.com",
    "us-east-2": "use2.us-gov-pure.cloud",
    "us-west-2": "usw2.pure.cloud",
    "ca-central-1": "cac1.pure.cloud",
    "mx-central-1": "mxc1.pure.cloud",
    "sa-east-1": "sae1.pure.cloud",
    "eu-west-1": "mypurecloud.ie",
    "eu-west-2": "euw2.pure.cloud",
    "eu-central-1": "mypurecloud.de",
    "eu-central-2": "euc2.pure.cloud",
    "me-central-1": "mec1.pure.cloud",
    "ap-south-1": "aps1.pure.cloud",
    "ap-northeast-1": "mypurecloud.jp",
    "ap-northeast-2": "apne2.pure.cloud",
    "ap-northeast-3": "apne3.pure.cloud",
    "ap-southeast-1": "apse1.pure.cloud",
    "ap-southeast-2": "mypurecloud.com.au",
    "eusc-de-east-1": "edee1.eusc-pure.cloud",
}


class GenesysSettings(CommonSettings):
    """One Genesys Cloud organization: where it is, and the OAuth client that acts for the worker."""

    kind: Literal["genesys"] = "genesys"
    region: str | None = Field(
        None, description="AWS region of the organization, e.g. eu-central-1", json_schema_extra=ASKED
    )
    api_base_url: BaseUrl | None = Field(None, description="Instead of the region's https://api.<domain>")
    login_base_url: BaseUrl | None = Field(None, description="Instead of the region's https://login.<domain>")
    client_id: str = Field(min_length=1, max_length=256, description="OAuth client of grant type client credentials")
    client_secret: HeaderSecret = Field(description="Its secret; its role needs oauth:token:delete")
    proof_probe: bool = Field(default=True, description="Ask with the revoked token whether it is refused now")
    not_found: Literal["dead", "settled"] = Field(
        "dead",
        description="A 404 for a user id: a dead letter (wrong region or organization?), or settled (no such user, "
        "so no token)",
    )

    @field_validator("region")
    @classmethod
    def _known_region(cls, region: str | None) -> str | None:
        if region is not None and region not in REGIONS:
            raise ValueError(f"must be one of {', '.join(sorted(REGIONS))}")
        return region

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.region is None and (self.api_base_url is None or self.login_base_url is None):
            raise ValueError("set region, or both api_base_url and login_base_url")
        return self

    @property
    def api(self) -> str:
        """The base URL of the platform API."""
        return self.api_base_url or f"https://api.{REGIONS[self.region or '']}"

    @property
    def login(self) -> str:
        """The base URL of the login service."""
        return self.login_base_url or f"https://login.{REGIONS[self.region or '']}"

    @property
    def base_urls(self) -> tuple[str, ...]:
        """Those of the API and of the login service."""
        return (self.api, self.login)

    @property
    def account(self) -> tuple[str, ...]:
        """The OAuth client."""
        return (self.login, self.client_id)
