"""How a declared provider knows the worker: the schemes of authentication, as settings."""

from typing import Annotated, Final, Literal, Self

from joserfc.jwk import ECKey, RSAKey
from pydantic import AfterValidator, Field, SecretStr, model_validator

from tasks.providers.kind import BaseUrl, HeaderSecret
from tasks.providers.signing_keys import Key, algorithm_of, of_pem
from tasks.strict_model import StrictModel

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
ClientId = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[!-~]+$")]
Claim = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[ -~]+$")]
_UNFIT: Final = (
    "must be a private key in PEM without a password: RSA of 2048 bits or more, or EC of curve P-256, P-384 or P-521"
)


def key_of(secret: SecretStr) -> tuple[Key, str]:
    """Return the private key in *secret*, and how it signs. Raises ValueError where there is none that does."""
    key = of_pem(secret.get_secret_value(), RSAKey, ECKey)
    if key is None or (algorithm := algorithm_of(key)) is None:
        raise ValueError(_UNFIT)
    return key, algorithm


def _signing_key(secret: SecretStr) -> SecretStr:
    key_of(secret)
    return secret


class NoAuth(StrictModel):
    """The call bears the user's own token, or nothing."""

    scheme: Literal["none"] = "none"


class BasicAuth(StrictModel):
    """HTTP Basic (RFC 7617)."""

    scheme: Literal["basic"] = "basic"
    username: str = Field(min_length=1, max_length=256, pattern=r"^[!-9;-~]+$", description="Or the client id")
    password: HeaderSecret = Field(description="Or the client secret")


class HeaderAuth(StrictModel):
    """A key in a header."""

    scheme: Literal["header"] = "header"
    name: HeaderName = Field("Authorization", description="Of the header")
    prefix: str = Field(
        "", max_length=32, pattern=r"^[!-~]*$", description="Before the key, e.g. SSWS: a blank follows"
    )
    api_key: HeaderSecret = Field(description="The key")


class ClientSecret(StrictModel):
    """An OAuth client that shows id and secret in the call itself (RFC 6749 section 2.3.1), as RFC 7009 has it."""

    scheme: Literal["client_secret_basic", "client_secret_post"]
    client_id: ClientId = Field(description="Of our OAuth client")
    client_secret: HeaderSecret = Field(description="Its secret")


class _Extra(StrictModel):
    extra: dict[Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")], str] = Field(
        {}, max_length=8, description="More members of the login, e.g. scope, audience, account_id"
    )


class ClientCredentials(_Extra):
    """A bearer token that an OAuth client buys with its secret."""

    scheme: Literal["client_credentials"] = "client_credentials"
    token_url: BaseUrl = Field(description="Where a token is bought (RFC 6749 section 4.4)")
    client_id: ClientId = Field(description="Of our OAuth client")
    client_secret: HeaderSecret = Field(description="Its secret")
    grant_type: str = Field("client_credentials", pattern=r"^[a-z_]{1,64}$", description="Zoom: account_credentials")
    client_auth: Literal["basic", "post"] = Field("basic", description="Where id and secret go: header or body")


class Signing(StrictModel):
    """A private key whose public part the provider knows."""

    private_key: Annotated[SecretStr, AfterValidator(_signing_key)] = Field(description="RSA or EC, in PEM")
    key_id: str | None = Field(None, max_length=128, description="`kid` of what it signs")


class PrivateKeyJwt(_Extra, Signing):
    """An OAuth client that shows a signed assertion (RFC 7523 section 2.2): at a login, or in the call itself."""

    scheme: Literal["private_key_jwt"] = "private_key_jwt"
    token_url: BaseUrl | None = Field(None, description="Where a token is bought; unset: the call bears the assertion")
    client_id: ClientId = Field(description="Of our OAuth client")
    audience: Claim | None = Field(None, description="`aud` of the assertion, e.g. the issuer; unset: token_url")

    @model_validator(mode="after")
    def _is_for_somebody(self) -> Self:
        if self.token_url is None and self.audience is None:
            raise ValueError("token_url or audience must be set: an assertion is for somebody")
        if self.token_url is None and self.extra:
            raise ValueError("extra must be empty where no token is bought: its members go into the login")
        return self


class _Claims(Signing):
    issuer: Claim = Field(description="`iss`: who signs, e.g. the e-mail address of a service account")
    subject: Claim | None = Field(None, description="`sub`, e.g. whom a service account acts for")
    claims: dict[Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")], Claim] = Field(
        {}, max_length=8, description="More claims, e.g. scope at Google"
    )


class JwtBearer(_Claims):
    """A bearer token that is bought with a signed JWT as the grant (RFC 7523 section 2.1)."""

    scheme: Literal["jwt_bearer"] = "jwt_bearer"
    token_url: BaseUrl = Field(description="Where a token is bought")
    audience: Claim | None = Field(None, description="`aud` of the JWT; unset: token_url")


class SignedJwt(_Claims):
    """A JWT of our own as the bearer token, signed anew for each request."""

    scheme: Literal["signed_jwt"] = "signed_jwt"
    audience: Claim = Field(description="`aud` of the JWT")
    type: Annotated[str, Field(pattern=r"^[A-Za-z0-9.+/-]{1,64}$")] = Field("JWT", description="`typ` of its header")


class AwsSigV4(StrictModel):
    """A signature of each request by a pair of Amazon's keys: Signature Version 4."""

    scheme: Literal["aws_sigv4"] = "aws_sigv4"
    region: str = Field(pattern=r"^[a-z0-9-]{1,32}$", description="E.g. eu-central-1")
    service: str = Field(pattern=r"^[a-z0-9-]{1,32}$", description="As it is signed for, e.g. cognito-idp")
    access_key_id: str = Field(pattern=r"^[A-Za-z0-9_]{1,128}$", description="Of the pair")
    secret_access_key: HeaderSecret = Field(description="Of the pair")
    session_token: HeaderSecret | None = Field(None, description="Of temporary keys")


Auth = Annotated[
    NoAuth
    | BasicAuth
    | HeaderAuth
    | ClientSecret
    | ClientCredentials
    | PrivateKeyJwt
    | JwtBearer
    | SignedJwt
    | AwsSigV4,
    Field(discriminator="scheme"),
]


def members_of(auth: Auth) -> frozenset[str]:
    """Return the members of a form by which *auth* shows itself in the call."""
    match auth:
        case ClientSecret(scheme="client_secret_post"):
            return frozenset({"client_id", "client_secret"})
        case PrivateKeyJwt(token_url=None):
            return frozenset({"client_id", "client_assertion_type", "client_assertion"})
        case _:
            return frozenset()
