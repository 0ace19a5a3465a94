"""The settings of the web console: where it listens, and what stands between it and a network."""

from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from tasks.hosts import is_host
from worker.settings.console_sign_in import OidcSettings
from worker.settings.listening import ListenSettings

_PORTS: Final = {"http": 80, "https": 443}


def _origin(url: str) -> str:
    """A browser's word for it: scheme, host, and a port that is not the scheme's own (RFC 6454 section 6.2)."""
    try:
        parts = urlsplit(url)
        port, is_fit = parts.port, is_host(parts.hostname or "")
    except ValueError:
        port, is_fit = None, False
    if not is_fit or parts.scheme not in _PORTS or parts.username is not None or (parts.path + parts.query).strip("/"):
        raise ValueError("must be http:// or https://, a host, and perhaps a port: https://desk.example.com")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{'' if port in {None, _PORTS[parts.scheme]} else f':{port}'}"


class ConsoleSettings(ListenSettings):
    """The web console. On another address than loopback it serves over TLS, or behind a proxy that does."""

    port: int = Field(9460, ge=0, le=65_535, description="Port; 0: any free one, which the log tells")
    public_url: Annotated[str, AfterValidator(_origin)] | None = Field(
        None, description="How browsers reach it, e.g. https://desk.example.com; unset: only as localhost"
    )
    users_file: Path = Field(
        Path("var/console-users.json"),
        description="Who may sign in by a password, mode 0600; `revoker console users add` writes it",
    )
    oidc: OidcSettings | None = Field(None, description="An OpenID provider to sign in at; unset: by password alone")
    session_idle: float = Field(
        1800.0, ge=60, le=86_400, description="Seconds without a page being opened, after which a session is over"
    )
    session_length: float = Field(
        43_200.0, ge=300, le=604_800, description="Seconds after which a session is over in any case"
    )

    @model_validator(mode="after")
    def _is_reached(self) -> Self:
        if (self.is_far or self.behind_proxy) and not (self.public_url or "").startswith("https://"):
            raise ValueError("public_url: must say how browsers reach it, with https://")
        if self.oidc and not self.public_url:
            raise ValueError(
                "public_url: must say how browsers reach it, since the OpenID provider sends them back there"
            )
        return self
