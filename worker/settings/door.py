"""The settings of the process that serves doors; those of each door are of its kind."""

import ssl
from typing import Self

from pydantic import Field, FilePath, model_validator

from worker.settings.listening import ListenSettings


class DoorProcessSettings(ListenSettings):
    """The doors. On another address than loopback they are served over TLS, or behind a proxy that ends it."""

    port: int = Field(9470, ge=0, le=65_535, description="Port; 0: any free one, which the log tells")
    client_ca_file: FilePath | None = Field(
        None, description="Authorities of client certificates, PEM: then a sender may show one; needs certificate_file"
    )
    outbox_limit: int = Field(
        10_000, ge=1, le=10_000_000, description="Events that wait in the outbox while the broker is away; more: 503"
    )

    @model_validator(mode="after")
    def _ends_tls_itself(self) -> Self:
        if self.client_ca_file and not self.certificate_file:
            raise ValueError("client_ca_file: client certificates are seen only with certificate_file and key_file")
        return self

    def tls(self) -> ssl.SSLContext | None:
        """A server's context, which asks for a client certificate where authorities for one are named."""
        context = super().tls()
        if context and self.client_ca_file:
            context.verify_mode = ssl.CERT_OPTIONAL
            try:
                context.load_verify_locations(self.client_ca_file)
            except OSError:
                raise ValueError("client_ca_file: no certificate can be read there") from None
        return context
