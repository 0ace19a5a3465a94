"""How a receiver of shared signals is configured, and what it is told."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Final, Literal, Self

from joserfc.jwk import ECKey, OKPKey, RSAKey
from pydantic import AfterValidator, Field, SecretStr, model_validator

from tasks.providers.kind import BaseUrl, CommonSettings, HeaderSecret, Kind, UserPlan
from tasks.providers.signing_keys import Key, algorithm_of, of_jwk, of_pem

SIGNAL_USER: Final = "ssf.signal_user"
MAX_USER_ID: Final = 128  # characters, as in a call
_UNFIT: Final = "must be an RSA key of 2048 bits or more, an EC key or an Ed25519 key, in PEM or as a JWK"


def key_of(secret: SecretStr) -> tuple[Key, str]:
    """Return the private key in *secret*, and how it signs. Raises ValueError where there is none that does."""
    text = secret.get_secret_value()
    key = of_jwk(text) or of_pem(text, RSAKey, ECKey, OKPKey)
    if key is None or (algorithm := algorithm_of(key)) is None:
        raise ValueError(_UNFIT)
    return key, algorithm


def _signing_key(secret: SecretStr) -> SecretStr:
    key_of(secret)
    return secret


class SsfSettings(CommonSettings):
    """A receiver, and who we are to it. It says that it took a signal, and no more."""

    kind: Literal["ssf"] = "ssf"
    receiver_url: BaseUrl = Field(description="Where it takes pushes (RFC 8935)")
    issuer: str = Field(min_length=1, max_length=512, description="Who we are: the `iss` of our tokens")
    audience: str = Field(min_length=1, max_length=512, description="Who it is: the `aud` of our tokens")
    signing_key: Annotated[SecretStr, AfterValidator(_signing_key)] = Field(
        description="Private key that signs: PEM, or a JWK as `revoker keys generate-signing` makes it"
    )
    key_id: str | None = Field(None, max_length=128, description="Its `kid`; unset: that of the JWK, or its thumbprint")
    access_token: HeaderSecret | None = Field(None, description="Bearer token that it asks us for, if it does")
    event: Literal["session-revoked", "account-disabled"] = Field(
        "session-revoked", description="What it is told of a disabled user: that of CAEP, or that of RISC"
    )
    subject: Literal["iss_sub", "email", "opaque"] = Field(
        "iss_sub", description="By what it knows people: `sub` of `subject_issuer`, e-mail address, or an id alone"
    )
    layout: Literal["final", "draft", "both"] = Field(
        "final", description="Where the subject stands: `sub_id` of the token, `subject` of the event, or both (Google)"
    )

    @model_validator(mode="after")
    def _knows_people(self) -> Self:
        if self.subject == "iss_sub" and not self.subject_issuer:
            raise ValueError("subject_issuer: must be set where subject is iss_sub")
        return self

    @property
    def api(self) -> str:
        """The URL that it takes pushes at."""
        return self.receiver_url

    @property
    def account(self) -> tuple[str, ...]:
        """Where it is, and who we are to it."""
        return (self.receiver_url, self.issuer)


def _of_settings(settings: SsfSettings) -> Kind:
    """Return the kind as one receiver narrows it: by what it knows people."""
    is_address = settings.subject == "email"
    return replace(KIND, user=UserPlan(SIGNAL_USER, _IS_NAME[is_address], by_address=is_address))


_IS_NAME: Final[dict[bool, Callable[[str], bool]]] = {
    False: lambda name: 0 < len(name) <= MAX_USER_ID,
    True: lambda name: "@" in name and len(name) <= MAX_USER_ID,
}
KIND: Final = Kind(
    "ssf",
    SsfSettings,
    "tasks.providers.ssf.provider:Ssf",
    user=UserPlan(SIGNAL_USER, lambda _: False),
    narrowed=_of_settings,
)
