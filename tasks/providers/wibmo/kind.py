"""How a Wibmo token service is configured, and what it revokes."""

from typing import Final, Literal

from pydantic import Field, StrictInt, StrictStr

from tasks.providers.kind import BaseUrl, CommonSettings, HeaderSecret, Kind, SessionPlan
from tasks.providers.wibmo.ciphers.config import CipherConfig

INVALIDATE_TOKEN: Final = "wibmo.invalidate_token"  # noqa: S105 - an operation's name


class WibmoSettings(CommonSettings):
    """One token service, the key it knows us by, and the cipher agreed with the vendor (it is not published)."""

    kind: Literal["wibmo"] = "wibmo"
    base_url: BaseUrl = Field(description="Everything before /token-service")
    api_key: HeaderSecret = Field(description="Sent as X-API-KEY")
    cipher: CipherConfig = Field(description="How request and answer are encrypted")
    success_codes: frozenset[StrictInt | StrictStr] = Field(
        frozenset({100, 200, "100", "200", "TOK200"}), min_length=1, description="The resCode values that mean success"
    )

    @property
    def api(self) -> str:
        """The base URL of the token service."""
        return self.base_url

    @property
    def account(self) -> tuple[str, ...]:
        """The API key."""
        return (self.base_url, self.api_key.get_secret_value())


KIND: Final = Kind(
    "wibmo",
    WibmoSettings,
    "tasks.providers.wibmo.provider:Wibmo",
    session=SessionPlan(INVALIDATE_TOKEN, "token_reference_id", own_credential=True),
)
