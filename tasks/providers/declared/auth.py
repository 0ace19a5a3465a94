"""How a declared provider knows the worker: the schemes of authentication, as settings."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from tasks.providers.kind import BaseUrl, HeaderSecret
from tasks.strict_model import StrictModel

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]


def _signing_key(secret: SecretStr) -> SecretStr:
    """Look for the marks of PEM alone: who reads settings needs no cryptography. What is inside, the client reads."""
    text = secret.get_secret_value().strip()
    if not (text.startswith("-----BEGIN ") and "PRIVATE KEY-----" in text):
        raise ValueError("must be an RSA or EC private key in PEM")
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


class _Login(StrictModel):
    token_url: BaseUrl = Field(description="Where a token is bought (RFC 6749 section 4.4)")
    client_id: str = Field(min_length=1, max_length=256, pattern=r"^[!-~]+$", description="Of our OAuth client")
    extra: dict[Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")], str] = Field(
        {}, max_length=8, description="More members of the login, e.g. scope, audience, account_id"
    )


class ClientCredentials(_Login):
    """A bearer token that an OAuth client buys with its secret."""

    scheme: Literal["client_credentials"] = "client_credentials"
    client_secret: HeaderSecret = Field(description="Its secret")
    grant_type: str = Field("client_credentials", pattern=r"^[a-z_]{1,64}$", description="Zoom: account_credentials")
    client_auth: Literal["basic", "post"] = Field("basic", description="Where id and secret go: header or body")


class PrivateKeyJwt(_Login):
    """A bearer token that an OAuth client buys with a signed assertion (RFC 7523 section 2.2)."""

    scheme: Literal["private_key_jwt"] = "private_key_jwt"
    private_key: Annotated[SecretStr, AfterValidator(_signing_key)] = Field(description="RSA or EC, in PEM")
    key_id: str | None = Field(None, max_length=128, description="`kid` of the assertion")


Auth = Annotated[NoAuth | BasicAuth | HeaderAuth | ClientCredentials | PrivateKeyJwt, Field(discriminator="scheme")]
