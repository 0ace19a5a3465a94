"""TLS as a client speaks it: who vouches for the server, and what proves to the server who we are."""

import ssl
from pathlib import Path
from typing import Final, Self

from pydantic import Field, FilePath, field_validator, model_validator

from tasks.private_files import WANTED, is_open_to_others
from tasks.strict_model import StrictModel

OLDEST: Final = ssl.TLSVersion.TLSv1_2  # RFC 8996 deprecates what is older


class KeyPair(StrictModel):
    """A certificate and its key, both or neither, of which nobody else can read the key."""

    certificate_file: FilePath | None = None
    key_file: FilePath | None = None

    @field_validator("key_file")
    @classmethod
    def _private(cls, file: Path | None) -> Path | None:
        if file is not None and is_open_to_others(file, file.stat()):
            raise ValueError(f"the key's file is open to others; {WANTED}")
        return file

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("set certificate_file and key_file, or neither")
        return self

    def present(self, context: ssl.SSLContext) -> None:
        """Have *context* show the certificate, where there is one. Raises ValueError where they cannot be read."""
        if self.certificate_file is None or self.key_file is None:
            return
        try:
            # An empty passphrase: for one that is needed OpenSSL would ask at the terminal.
            context.load_cert_chain(self.certificate_file, self.key_file, password="")
        except OSError:
            raise ValueError("certificate_file and key_file: no pair without a passphrase can be read there") from None


class TlsSettings(KeyPair):
    """Files in PEM form. That chain and host name of the server are checked is no setting: nothing turns it off."""

    ca_file: FilePath | None = Field(
        None, description="Certificates of the authorities to trust, instead of the system's"
    )
    certificate_file: FilePath | None = Field(
        None, description="Our certificate and its chain, for a server that asks for one"
    )
    key_file: FilePath | None = Field(None, description="Its private key, without a passphrase, mode 0600")

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.ca_file or self.certificate_file:  # reading the system's certificates takes every start 20 ms
            self.context()
        return self

    @property
    def files(self) -> tuple[Path, ...]:
        """Those that are set."""
        return tuple(filter(None, (self.ca_file, self.certificate_file, self.key_file)))

    def context(self) -> ssl.SSLContext:
        """A client's context of these files as they are now. Raises ValueError, naming the setting that is unfit."""
        context = ssl.create_default_context(cafile=None if self.ca_file is None else _readable(self.ca_file))
        context.minimum_version = OLDEST
        self.present(context)
        return context


SYSTEM_TRUST: Final = TlsSettings()


def _readable(authorities: Path) -> Path:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(authorities)
    except OSError:  # ssl.SSLError is one
        raise ValueError("ca_file: no certificate can be read there") from None
    return authorities
