"""The settings of logs and traces."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from tasks.hosts import is_host, is_loopback
from tasks.strict_model import StrictModel
from tasks.tls import SYSTEM_TRUST, TlsSettings

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["auto", "human", "json"]
_ROOT: Final = Path(__file__).parents[2]  # of `tasks` and `worker`


def _own_logger(name: str) -> str:
    """A module's name is that of its logger. What libraries say below their own level may show what they send."""
    parts = name.split(".")
    path = _ROOT.joinpath(*parts)
    is_name = all(map(str.isidentifier, parts))
    if parts[0] not in {"tasks", "worker"} or not is_name or not (path.is_dir() or path.with_suffix(".py").is_file()):
        raise ValueError("must be `tasks`, `worker` or a module of theirs, as a log line names it in `logger`")
    return name


LogLevels = dict[Annotated[str, AfterValidator(_own_logger)], LogLevel]


def _endpoint(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_fit = parts.port != 0 and is_host(parts.hostname or "")
    except ValueError:
        is_fit = False
    if not is_fit or parts.scheme not in {"http", "https"} or parts.username is not None or parts.query:
        raise ValueError(
            "must be an http:// or https:// URL without user name and query, e.g. http://otel:4318/v1/traces"
        )
    return url


def _header_value(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", value.get_secret_value()):
        raise ValueError("must be visible ASCII characters, with spaces only between them")
    return value


HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]
HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]


class TracingSettings(StrictModel):
    """Where traces are sent, and how many. Needs the extra `otel`."""

    endpoint: Annotated[str, AfterValidator(_endpoint)] | None = Field(
        None, description="URL that takes traces, OTLP over HTTP, e.g. http://otel:4318/v1/traces; unset: none are made"
    )
    header_secrets: dict[HeaderName, HeaderValue] = Field(
        {}, description="Headers for it by name, e.g. a key; only over https, or to loopback"
    )
    sample_ratio: float = Field(
        1.0, ge=0, le=1, description="Share of the traces that begin here; of its own traces a producer decides itself"
    )
    tls: TlsSettings = SYSTEM_TRUST

    @model_validator(mode="after")
    def _keeps_its_headers(self) -> Self:
        url = urlsplit(self.endpoint or "")
        if self.header_secrets and url.scheme == "http" and not is_loopback(url.hostname or ""):
            raise ValueError(
                "header_secrets: need an endpoint that starts with https://, or on loopback: they may be secret"
            )
        return self
