"""Our processes in a compose file. It is read as it stands: no variable is put in, no file is laid over another."""

import re
from collections.abc import Iterator
from typing import Final

from worker.operations.doctor.workload import (
    Node,
    SecretFiles,
    Workload,
    at,
    mapping,
    process_of,
    sequence,
    text_at,
    words_of,
)

GRACE: Final = 10.0  # seconds, where a service says nothing (Compose Specification, `stop_grace_period`)

_SECONDS: Final = {"ms": 0.001, "us": 0.000_001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|us|s|m|h)")


def services_of(file: str, document: Node) -> Iterator[Workload]:
    """Each of our processes that a service of *document* is; *file* is its name."""
    services = mapping(document.get("services"))
    is_scraped = any("prometheus" in text_at(each, "image") for each in services.values())
    for name, service in services.items():
        variables = _variables(at(service, "environment"))
        words = [*words_of(at(service, "entrypoint")), *words_of(at(service, "command"))]
        if process := process_of(words, variables, text_at(service, "image")):
            user = text_at(service, "user").partition(":")[0]
            yield Workload(
                f"{file}: {name}",
                process,
                grace=_seconds(text_at(service, "stop_grace_period")),
                is_root=user in {"0", "root"} if user else None,
                is_privileged=at(service, "privileged") is True,
                is_read_only=at(service, "read_only") is True,
                variables=variables,
                secret_files=tuple(map(_secret, sequence(at(service, "secrets")))),
                probes=_probes(at(service, "healthcheck")),
                is_scraped=is_scraped,
            )


def _secret(secret: object) -> SecretFiles:
    name = text_at(secret, "source") or str(secret)
    return SecretFiles(name, text_at(secret, "target") or name, None)


def _probes(check: object) -> dict[str, str]:
    """The image has a check of its own, which a service may replace or switch off."""
    words = words_of(at(check, "test"))
    return {} if at(check, "disable") is True or words[:1] == ["NONE"] else {"healthcheck": " ".join(words)}


def _seconds(duration: str) -> float:
    parts = _DURATION.findall(duration)
    return sum(float(number) * _SECONDS[unit] for number, unit in parts) if parts else GRACE


def _variables(environment: object) -> dict[str, str]:
    if isinstance(environment, list):
        pairs = (str(each).partition("=") for each in environment)
        return {name: value for name, _, value in pairs}
    return {name: "" if value is None else str(value) for name, value in mapping(environment).items()}
