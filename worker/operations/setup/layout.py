"""Where `revoker init` puts what, below one folder."""

from dataclasses import dataclass
from pathlib import Path

from worker.broker.permissions import OPERATOR


@dataclass(frozen=True, slots=True)
class Layout:
    """The places below *folder*; with *has_users*, each process has a RabbitMQ user of its own.

    Then the secrets that all read lie in `secrets/`, where no process looks: each looks into a folder of its own below,
    with its `broker_url` and links to the others. So a secret is replaced in one place.
    """

    folder: Path
    has_users: bool

    @property
    def config(self) -> Path:
        """The TOML file."""
        return self.folder / "revoker.toml"

    @property
    def secrets(self) -> Path:
        """The secrets that all processes read."""
        return self.folder / "secrets"

    def secrets_of(self, process: str = OPERATOR) -> Path:
        """The folder that is `REVOKER_SECRETS_DIR` of *process*."""
        return self.secrets / process if self.has_users else self.secrets

    def jwks_of(self, source: str) -> Path:
        """The public keys of *source*."""
        return self.folder / "sources" / f"{source}.jwks.json"

    def producer_of(self, source: str) -> Path:
        """What whoever speaks for *source* is given."""
        return self.folder / "producers" / source

    def definitions_of(self, what: str) -> Path:
        """The RabbitMQ users of the `processes`, or the user of a producer."""
        return self.folder / "rabbitmq" / f"{what}.json"
