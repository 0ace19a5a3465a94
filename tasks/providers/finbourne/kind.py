"""How a LUSID domain is configured, and what it revokes."""

import re
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.providers.kind import BaseUrl, CommonSettings, Kind, SessionPlan
from tasks.strict_model import ASKED

INVALIDATE_TOKEN: Final = "finbourne.invalidate_token"  # noqa: S105 - an operation's name
_DOMAIN: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_APPLICATION: Final = re.compile(r"[!-~]{1,128}")


class FinbourneSettings(CommonSettings):
    """One LUSID domain."""

    kind: Literal["finbourne"] = "finbourne"
    domain: str | None = Field(
        None, description="The <domain> of https://<domain>.lusid.com/identity", json_schema_extra=ASKED
    )
    base_url: BaseUrl | None = Field(None, description="Instead of the domain's https://<domain>.lusid.com/identity")
    application: str | None = Field(None, description="Sent as X-LUSID-Application, to be found in the vendor's logs")

    @field_validator("domain")
    @classmethod
    def _domain_label(cls, domain: str | None) -> str | None:
        if domain is not None and not _DOMAIN.fullmatch(domain):
            raise ValueError("must be one DNS label in lower case")
        return domain

    @field_validator("application")
    @classmethod
    def _header_value(cls, application: str | None) -> str | None:
        if application is not None and not _APPLICATION.fullmatch(application):
            raise ValueError("must be at most 128 visible ASCII characters without spaces")
        return application

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.domain is None and self.base_url is None:
            raise ValueError("set domain or base_url")
        return self

    @property
    def api(self) -> str:
        """The base URL of the identity API."""
        return self.base_url or f"https://{self.domain}.lusid.com/identity"

    @property
    def account(self) -> tuple[str, ...]:
        """The domain: calls carry their users' tokens alone."""
        return (self.api,)


KIND: Final = Kind(
    "finbourne",
    FinbourneSettings,
    "tasks.providers.finbourne.provider:Finbourne",
    session=SessionPlan(INVALIDATE_TOKEN, "jwe"),
)
