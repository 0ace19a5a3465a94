"""The settings that doors have: what all kinds share, and those of a kind whose requests carry a signed token."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, model_validator
from pydantic.fields import FieldInfo

from tasks.hosts import is_loopback
from tasks.strict_model import StrictModel

LENIENT: Final[dict[str, JsonValue]] = {"lenient": True}
"""The `json_schema_extra` of a setting that lets in what the standard refuses: off by default, shown by the doctor."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where an issuer's public keys are: at a URL, or in a file."""

    jwks_uri: str | None = None
    jwks_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Subscribed:
    """An exchange of our broker to which the source publishes, and the routing keys of what is wanted of it."""

    exchange: str
    routing_keys: tuple[str, ...]


class CommonDoorSettings(StrictModel):
    """The settings that every door has."""

    kind: str
    path: str = Field(
        "", pattern=r"^(/[A-Za-z0-9._~-]+)*$", max_length=200, description="Path of its URL; unset: `/` and its name"
    )
    bearer_file: Path | None = Field(
        None,
        description="File of the secrets that a sender shows as `Authorization: Bearer`, one a line, mode 0600; read "
        "again when it changes",
    )
    hmac_file: Path | None = Field(
        None, description="File of the secrets by which a sender signs bodies (HMAC-SHA-256), likewise"
    )
    hmac_header: str = Field(
        "X-Signature",
        pattern=r"^[A-Za-z0-9-]{1,64}$",
        description="Header that holds the HMAC, in hex digits or base64, with or without `sha256=` before it",
    )
    client_names: frozenset[str] = Field(
        frozenset(),
        description="Names, of which the sender's client certificate must have one (DNS or URI of its SAN); needs "
        "`door.client_ca_file`",
    )
    max_body: int = Field(65_536, ge=256, le=1_048_576, description="Bytes of a body")
    rate: int = Field(600, ge=1, le=1_000_000, description="Requests a minute; more are told to come again")
    in_flight: int = Field(20, ge=1, le=1000, description="Requests at once; more are told to come again")
    timeout: float = Field(10.0, ge=0.1, le=120, description="Seconds in which a request must have come whole")

    @property
    def is_proved(self) -> bool:
        """Whether a proof is configured that the process checks."""
        return bool(self.bearer_file or self.hmac_file or self.client_names)

    @property
    def leniencies(self) -> tuple[str, ...]:
        """Names of the settings that let in what the standard refuses, as far as they are on."""
        fields = type(self).model_fields.items()
        return tuple(name for name, each in fields if is_leniency(each) and getattr(self, name) != each.default)

    @property
    def key_source(self) -> KeySource | None:
        """Where the public keys of its issuer are found; None for a kind that has no issuer."""
        return None

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """Its files of secrets."""
        return tuple(filter(None, (self.bearer_file, self.hmac_file)))

    @property
    def is_pushed(self) -> bool:
        """Whether its source sends anything: it has a URL then."""
        return True

    @property
    def subscribed(self) -> Subscribed | None:
        """Where at our broker its source publishes, if it does."""
        return None

    @property
    def is_swept(self) -> bool:
        """Whether a process of ours looks at its source."""
        return False


class IssuedDoorSettings(CommonDoorSettings):
    """Those of a kind whose requests carry a token that an issuer signs."""

    issuer: str = Field(min_length=1, max_length=512, description="Who signs: the `iss` of its tokens")
    audience: str = Field(min_length=1, max_length=512, description="For whom: the `aud` of its tokens, mostly our URL")
    jwks_uri: str | None = Field(
        None, pattern=r"^https?://", max_length=1024, description="Where the issuer shows its public keys (JWK Set)"
    )
    jwks_file: Path | None = Field(None, description="File of them instead; read again when it changes")

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        check_keys(self.jwks_uri, self.jwks_file)
        return self

    @property
    def key_source(self) -> KeySource:
        """Return where the public keys of its issuer are found."""
        return KeySource(self.jwks_uri, self.jwks_file)


def check_keys(jwks_uri: str | None, jwks_file: Path | None) -> None:
    """Raise ValueError unless public keys are found at one place, which nobody can change on their way."""
    if jwks_uri and not (jwks_uri.startswith("https://") or is_loopback(urlsplit(jwks_uri).hostname or "")):
        raise ValueError("jwks_uri: must be https://")
    if (jwks_uri is None) == (jwks_file is None):
        raise ValueError("set jwks_uri or jwks_file, and not both")


def is_leniency(field: FieldInfo) -> bool:
    """Whether the setting *field* lets in what the standard refuses."""
    return field.json_schema_extra == LENIENT
