"""The files of a deployment, looked at before an engine gets them: compose files and Kubernetes manifests.

What is found would break off calls, restart everything at once, show a secret, or start workers for nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from worker.operations.doctor.compose import services_of
from worker.operations.doctor.findings import Finding
from worker.operations.doctor.manifests import pods_of, resources, scalers_of, settings_of
from worker.operations.doctor.scaling import scaling_faults
from worker.operations.doctor.workload import Fault, Node, Scaler, Workload, at, mapping
from worker.operations.doctor.workload_checks import CHECKS
from worker.settings.files import SECRETS_DIR

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, a tenth of the time
_SUFFIXES: Final = {".yaml", ".yml"}


@dataclass(slots=True)
class _Deployment:
    """What all files together say."""

    workloads: list[Workload] = field(default_factory=list)
    scalers: list[Scaler] = field(default_factory=list)
    settings: list[Node] = field(default_factory=list)

    def add(self, file: str, document: object) -> bool:
        """Take in a *document* of *file*; whether one of our processes, or a scaler, is in it."""
        before = len(self.workloads) + len(self.scalers)
        if at(document, "services") is not None and at(document, "kind") is None:
            self.workloads += services_of(file, mapping(document))
        for resource in resources(document):
            self.workloads += pods_of(file, resource)
            self.scalers += scalers_of(file, resource)
            self.settings += settings_of(resource)
        return len(self.workloads) + len(self.scalers) > before


def examine_deployment(files: Iterable[Path]) -> Iterator[Finding]:
    """Look at *files*, and at every YAML file below those that are folders. Changes nothing and asks nobody."""
    deployment = _Deployment()
    for file in files:
        yield from _read(deployment, file)
    for workload in deployment.workloads:
        for check, fine, faults_of in CHECKS:
            yield from _findings(check, workload.place, fine, faults_of(workload, deployment.settings))
    for scaler in deployment.scalers:
        fine = "knows holds" if scaler.target == "worker" else "leaves one running"
        yield from _findings("deployment.autoscaling", scaler.place, fine, scaling_faults(scaler))
    yield from _shared_users(deployment.workloads)


def _read(deployment: _Deployment, path: Path) -> Iterator[Finding]:
    try:
        paths = sorted(each for each in path.rglob("*") if each.suffix in _SUFFIXES) if path.is_dir() else [path]
        has_ours = [deployment.add(each.name, document) for each in paths for document in _documents(each)]
    except OSError as error:
        yield Finding("deployment.file", "failed", f"cannot be read ({error.strerror})", about=str(path))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        detail = f"is not YAML{f' (line {mark.line + 1})' if mark else ''}"
        yield Finding("deployment.file", "failed", detail, about=str(path))
    else:
        if not any(has_ours):
            yield Finding("deployment.file", "unknown", "starts no process of ours", about=str(path))


def _documents(path: Path) -> list[object]:
    with path.open("rb") as content:
        return list(yaml.load_all(content, _LOADER))


def _findings(check: str, place: str, fine: str, faults: Iterable[Fault]) -> Iterator[Finding]:
    """A finding for each of *faults* in *place*; where there is none, that it is *fine*."""
    found = [Finding(check, each.state, each.detail, each.remedy, place) for each in faults]
    yield from found or [Finding(check, "ok", fine, about=place)]


_USERS: Final = {"sweep": "door"}  # whose user a process has: these two publish the same events, and read nothing


def _shared_users(workloads: Iterable[Workload]) -> Iterator[Finding]:
    """Whoever takes over one process should get no further, so no two kinds of them share a broker user."""
    owners: dict[str, set[str]] = {}
    for workload in workloads:
        for name in _broker_secrets(workload):
            owners.setdefault(name, set()).add(_USERS.get(workload.process, workload.process))
    for name, processes in owners.items():
        if len(processes) > 1:
            detail = f"{', '.join(sorted(processes))} share the secret {name}, and so a broker user"
            yield Finding("deployment.permissions", "warning", detail)


def _broker_secrets(workload: Workload) -> set[str]:
    """The secrets that hold the process's broker_url: a file of that name, or the whole folder of secret files."""
    folder = workload.variables.get(SECRETS_DIR)
    return {each.name for each in workload.secret_files if "broker_url" in each.folder or each.folder == folder}
