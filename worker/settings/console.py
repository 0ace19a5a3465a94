"""The settings of the web console: where it listens, and what stands between it and a network."""

import ssl
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, FilePath, field_validator, model_validator

from tasks.hosts import is_host, is_loopback
from tasks.private_files import WANTED, is_open_to_others
from tasks.strict_model import StrictModel
from tasks.tls import OLDEST
from worker.settings.console_sign_in import OidcSettings
from worker.settings.sections import address

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


class ConsoleSettings(StrictModel):
    """The web console. On another address than loopback it serves over TLS, or behind a proxy that does."""

    host: Annotated[str, AfterValidator(address)] = Field(
        "127.0.0.1", description="Address to listen on; another one than loopback needs TLS, or `behind_proxy`"
    )
    port: int = Field(9460, ge=0, le=65_535, description="Port; 0: any free one, which the log tells")
    public_url: Annotated[str, AfterValidator(_origin)] | None = Field(
        None, description="How browsers reach it, e.g. https://desk.example.com; unset: only as localhost"
    )
    certificate_file: FilePath | None = Field(None, description="Its certificate and chain, PEM: then it speaks TLS")
    key_file: FilePath | None = Field(None, description="The certificate's key, without a passphrase, mode 0600")
    behind_proxy: Annotated[str, AfterValidator(address)] | None = Field(
        None,
        description="Address of the proxy that ends TLS before it: nobody else is served, and its `X-Forwarded-For` "
        "is believed",
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

    @field_validator("key_file")
    @classmethod
    def _private(cls, file: Path | None) -> Path | None:
        if file is not None and is_open_to_others(file, file.stat()):
            raise ValueError(f"the key's file is open to others; {WANTED}")
        return file

    @model_validator(mode="after")
    def _is_encrypted(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("set certificate_file and key_file, or neither")
        if self.certificate_file and self.behind_proxy:
            raise ValueError("set behind_proxy, or certificate_file and key_file, and not both")
        is_far = not is_loopback(self.host)
        if is_far and not (self.certificate_file or self.behind_proxy):
            raise ValueError("host: another address than loopback needs certificate_file and key_file, or behind_proxy")
        if (is_far or self.behind_proxy) and not (self.public_url or "").startswith("https://"):
            raise ValueError("public_url: must say how browsers reach it, with https://")
        if self.oidc and not self.public_url:
            raise ValueError(
                "public_url: must say how browsers reach it, since the OpenID provider sends them back there"
            )
        if self.certificate_file:
            self.tls()
        return self

    def tls(self) -> ssl.SSLContext | None:
        """A server's context of the files as they are now; None without them. Raises ValueError for unfit ones."""
        if self.certificate_file is None or self.key_file is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = OLDEST
        try:
            context.load_cert_chain(self.certificate_file, self.key_file, password="")
        except OSError:
            raise ValueError("certificate_file and key_file: no pair without a passphrase can be read there") from None
        return context
