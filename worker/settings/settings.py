"""The only reader of environment, configuration file and secret files.

Sources, the first that names a value wins: `REVOKER_…` variables (`__` between levels), secret files in
`REVOKER_SECRETS_DIR` (a file per value, named like the variable without its prefix, e.g.
`providers__genesys__client_secret`), the TOML file `REVOKER_CONFIG_FILE` (where unset and there:
`var/revoker.toml`).
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, ValidationInfo, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings.exceptions import SettingsError as UnreadableValueError

from tasks.call import Lane
from tasks.doors import DoorSettings
from tasks.events import EVENT_TYPES
from tasks.plan import Catalogue, Instance
from tasks.providers import ProviderSettings, kind_of
from tasks.subject_index import SubjectIndex
from tasks.tls import SYSTEM_TRUST, TlsSettings
from worker.settings.console import ConsoleSettings
from worker.settings.door import DoorProcessSettings
from worker.settings.door_sources import DoorName, fault_of_doors
from worker.settings.exposure import ExposureSettings
from worker.settings.faults import fault_of_json, faults_of_sources, faults_of_values
from worker.settings.files import SecretFiles, SecretFilesSource, TextSource, config_file, secrets_folder
from worker.settings.four_eyes import FourEyesSettings
from worker.settings.names import BETWEEN, PREFIX
from worker.settings.registry import RegistrySettings
from worker.settings.sections import (
    FloodSettings,
    HoldSettings,
    MaxAgeSettings,
    MonitoringSettings,
    RetrySettings,
    SourceSettings,
    StorageSettings,
    WorkerSettings,
)
from worker.settings.telemetry import LogFormat, LogLevels, TracingSettings
from worker.settings.urls import BrokerUrl, LedgerUrl, SentryDsn, is_in_clear

_PROVIDER_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")  # as in the event contract
_NEEDS_PROOF: Final = (
    "a `trusted` source may not say user.enabled or session.started on RabbitMQ, since whoever may publish could keep "
    "an intruder logged in: give the source `users` or `keys` instead of `trusted`, or take them off its types"
)


class SettingsError(Exception):
    """The settings are not usable: a line per fault, each naming a setting, none showing a value."""


def _provider_name(name: str) -> str:
    if not _PROVIDER_NAME.fullmatch(name):
        raise ValueError("a provider's name is a lower-case letter, then up to 31 of a-z 0-9 _ -")
    return name


def _with_amqps(tls: TlsSettings, known: ValidationInfo) -> TlsSettings:
    url = known.data.get("broker_url")
    if tls != SYSTEM_TRUST and url is not None and not url.get_secret_value().startswith("amqps:"):
        raise ValueError("needs a broker_url that starts with amqps://: nothing else is encrypted")
    return tls


class Settings(BaseSettings):
    """Every setting of every process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=BETWEEN,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    broker_url: BrokerUrl = Field(
        SecretStr("embedded:///var/broker.sqlite3"),
        description="embedded:///FILE or amqp(s)://user:password@host/vhost",
    )
    broker_accept_risk: Literal["plaintext"] | None = Field(
        None, description="`plaintext` lets amqp:// lead to another machine, though all is read on the way"
    )
    broker_tls: Annotated[TlsSettings, AfterValidator(_with_amqps)] = SYSTEM_TRUST
    ledger_url: LedgerUrl = Field(
        SecretStr("sqlite:///var/ledger.sqlite3"),
        description="sqlite:///FILE or postgresql+psycopg://user@host/database",
    )
    keys_dir: Path = Field(Path("var/keys"), description="Folder of private sealing keys, a JWK file each, mode 0600")
    subject_key: SecretStr = Field(
        description="Key of the subject index, 32 characters or more: keep it, look-ups and the audit need it",
        min_length=32,
    )
    providers: dict[Annotated[str, AfterValidator(_provider_name)], ProviderSettings] = Field(
        default_factory=dict, description="Provider instances by name"
    )
    sources: dict[str, SourceSettings] = Field(default_factory=dict, description="Who may say what, by any name")
    doors: dict[DoorName, DoorSettings] = Field(
        default_factory=dict, description="Doors by name, by which directories and identity providers come in"
    )
    door: DoorProcessSettings = DoorProcessSettings()
    retry: RetrySettings = RetrySettings()
    max_age: MaxAgeSettings = MaxAgeSettings()
    hold: HoldSettings = HoldSettings()
    flood: FloodSettings = FloodSettings()
    registry: RegistrySettings = RegistrySettings()
    four_eyes: FourEyesSettings = FourEyesSettings()
    worker: WorkerSettings = WorkerSettings()
    exposure: ExposureSettings = ExposureSettings()
    storage: StorageSettings = StorageSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    console: ConsoleSettings = ConsoleSettings()
    tracing: TracingSettings = TracingSettings()
    sentry_dsn: SentryDsn | None = Field(None, description="Where errors are reported; unset: nowhere")
    sentry_traces_sample_rate: float = Field(
        0.0, ge=0, le=1, description="Share of tasks whose time in queue and at work is reported to Sentry"
    )
    environment: str = Field("production", max_length=64, description="Name of this installation in error reports")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR")
    log_levels: LogLevels = Field(
        {}, description='Levels of single loggers instead, by module, e.g. `"worker.intake" = "WARNING"`'
    )
    log_format: LogFormat = Field("auto", description="`auto`: `human` where stderr is a terminal, else `json`")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Nobody sends a password in clear by accident, and no source map means what it cannot."""
        if is_in_clear(self.broker_url.get_secret_value()) and self.broker_accept_risk != "plaintext":
            raise ValueError(
                "broker_url: amqp:// to another machine is not encrypted: use amqps://, or accept it by "
                'broker_accept_risk = "plaintext"'
            )
        if len({each.source for each in self.sources.values()}) < len(self.sources):
            raise ValueError("sources: two of them have the same source")
        for name, each in self.sources.items():
            if not each.providers <= self.providers.keys():
                raise ValueError(f"sources.{name}.providers: names a provider that is not configured")
            if each.trusted and not all(EVENT_TYPES[one].revokes for one in each.types) and not self._is_embedded():
                raise ValueError(f"sources.{name}.types: {_NEEDS_PROOF}")
        if fault := fault_of_doors(self.doors, self.door, self.sources, has_registry=self.registry.enabled):
            raise ValueError(fault)
        return self

    def _is_embedded(self) -> bool:
        """Whether the broker is a file: whoever may write that could as well write an outcome."""
        return self.broker_url.get_secret_value().startswith("embedded:")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - it takes a secret of digits for a number
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - a working directory's .env is nobody's decision
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - it passes over links, and over what is unfit
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The order of the module's first lines."""
        sources = [init_settings, TextSource(settings_cls)]
        if folder := secrets_folder():
            sources.append(SecretFilesSource(settings_cls, SecretFiles.read(folder)))
        if config := config_file():
            sources.append(TomlConfigSettingsSource(settings_cls, toml_file=config))
        return tuple(sources)

    def budgets(self) -> dict[Lane, timedelta]:
        """How long from an event's time a call of each lane is tried."""
        return {
            Lane.ROUTINE: timedelta(seconds=self.retry.routine_budget),
            Lane.URGENT: timedelta(seconds=self.retry.urgent_budget),
        }

    def max_ages(self) -> dict[str, timedelta]:
        """How old an event of each type may be when it comes, or is replayed."""
        ages = self.max_age
        return {
            name: timedelta(seconds=ages.user_disabled if each.hits_user else ages.session_ended)
            for name, each in EVENT_TYPES.items()
        }

    def longest_outage(self) -> timedelta:
        """For how long events may have waited for the intake, whatever those before them were."""
        return timedelta(seconds=self.max_age.outage)

    def catalogue(self) -> Catalogue:
        """What planning must know."""
        instances = {
            name: Instance(name, kind_of(provider), provider.subject_issuer)
            for name, provider in self.providers.items()
        }
        return Catalogue(instances, self.budgets(), self.subjects())

    def subjects(self) -> SubjectIndex:
        """The index under which the ledger knows people."""
        return SubjectIndex(self.subject_key.get_secret_value().encode())

    def audit_secret(self) -> bytes:
        """What the key of the audit is made of: the key of the subject index, which all processes have."""
        return self.subject_key.get_secret_value().encode()

    @classmethod
    def load(cls) -> Self:
        """The settings in force; raises `SettingsError` naming every setting that is missing, unknown or ill-formed."""
        if faults := faults_of_sources(cls):
            raise SettingsError("\n".join(faults))
        return cls._checked({})

    @staticmethod
    def of(document: Mapping[str, Any]) -> "Settings":
        """The settings of *document* alone, whatever is in force here; raises `SettingsError` as `load` does."""
        if options := [name for name in document if name.startswith("_")]:  # pydantic-settings has some of these names
            raise SettingsError("\n".join(f"{name}: unknown setting" for name in options))
        return _OfDocument._checked(document)  # noqa: SLF001 - of its own base

    @classmethod
    def _checked(cls, document: Mapping[str, Any]) -> Self:
        try:
            return cls(**document)
        except ValidationError as error:
            raise SettingsError("\n".join(faults_of_values(cls, error))) from None
        except UnreadableValueError as error:
            raise SettingsError(fault_of_json(error)) from None
        except OSError as error:  # it was readable just now
            raise SettingsError(f"{error.filename}: cannot be read ({error.strerror})") from None


class _OfDocument(Settings):
    """Settings of what it is made of, and of nothing else."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings hands them over by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The one source."""
        return (init_settings,)
