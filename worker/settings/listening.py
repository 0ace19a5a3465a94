"""What every process that serves HTTP is told: where it listens, and what stands between it and a network."""

import ssl
from typing import Annotated, Self

from pydantic import AfterValidator, Field, FilePath, model_validator

from tasks.hosts import is_loopback
from tasks.tls import OLDEST, KeyPair
from worker.settings.sections import address


class ListenSettings(KeyPair):
    """An address that is served over TLS, or behind a proxy that ends it, unless it is loopback."""

    host: Annotated[str, AfterValidator(address)] = Field(
        "127.0.0.1", description="Address to listen on; another one than loopback needs TLS, or `behind_proxy`"
    )
    port: int = Field(0, ge=0, le=65_535, description="Port; 0: any free one, which the log tells")
    certificate_file: FilePath | None = Field(None, description="Its certificate and chain, PEM: then it speaks TLS")
    key_file: FilePath | None = Field(None, description="The certificate's key, without a passphrase, mode 0600")
    behind_proxy: Annotated[str, AfterValidator(address)] | None = Field(
        None,
        description="Address of the proxy that ends TLS before it: nobody else is served, and its `X-Forwarded-For` "
        "is believed",
    )

    @model_validator(mode="after")
    def _is_encrypted(self) -> Self:
        if self.certificate_file and self.behind_proxy:
            raise ValueError("set behind_proxy, or certificate_file and key_file, and not both")
        if self.is_far and not (self.certificate_file or self.behind_proxy):
            raise ValueError("host: another address than loopback needs certificate_file and key_file, or behind_proxy")
        if self.certificate_file:
            self.tls()
        return self

    @property
    def is_far(self) -> bool:
        """Whether it can be reached from another machine."""
        return not is_loopback(self.host)

    def tls(self) -> ssl.SSLContext | None:
        """A server's context of the files as they are now; None without them. Raises ValueError for unfit ones."""
        if self.certificate_file is None or self.key_file is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = OLDEST
        self.present(context)
        return context
