"""Our processes in Kubernetes manifests, and what scales them. Each manifest is read as it stands, without overlays."""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

from worker.operations.doctor.workload import (
    Node,
    Scaler,
    SecretFiles,
    Workload,
    at,
    mapping,
    process_of,
    sequence,
    text_at,
    words_of,
)

GRACE: Final = 30.0  # seconds, where a pod says nothing (Kubernetes API, `terminationGracePeriodSeconds`)
SECRET_MODE: Final = 0o644  # where a secret's volume says nothing (Kubernetes API, `defaultMode`)

_TEMPLATES: Final = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
_SCALERS: Final = ("ScaledObject", "HorizontalPodAutoscaler")


def resources(document: object) -> Iterator[Node]:
    """Each resource of *document*, which may be a List."""
    if at(document, "kind") == "List":
        for each in sequence(at(document, "items")):
            yield from resources(each)
    elif isinstance(document, Mapping):
        yield document


def pods_of(file: str, resource: Node) -> Iterator[Workload]:
    """Each of our processes that a container of *resource* is; *file* is its name."""
    kind = text_at(resource, "kind")
    spec = at(resource, "spec", "template", "spec") if kind in _TEMPLATES else resource.get("spec")
    if kind in {*_TEMPLATES, "Pod"}:
        place = f"{file}: {kind} {text_at(resource, 'metadata', 'name')}"
        for container in sequence(at(spec, "containers")):
            yield from _process(place, mapping(spec), container)


def scalers_of(file: str, resource: Node) -> Iterator[Scaler]:
    """What *resource* scales, where that is its purpose."""
    if (kind := text_at(resource, "kind")) in _SCALERS:
        is_keda, spec = kind == "ScaledObject", resource.get("spec")
        fewest = ("minReplicaCount", "idleReplicaCount") if is_keda else ("minReplicas",)
        counts = [count for each in fewest if isinstance(count := at(spec, each), int)]
        yield Scaler(
            f"{file}: {kind} {text_at(resource, 'metadata', 'name')}",
            text_at(spec, "scaleTargetRef", "name"),
            fewest=min(counts) if counts else int(not is_keda),  # KEDA: 0, Kubernetes: 1
            signals=tuple(_signal(each) for each in sequence(at(spec, "triggers" if is_keda else "metrics"))),
        )


def settings_of(resource: Node) -> Iterator[Node]:
    """The settings in a ConfigMap: what is TOML in it."""
    if resource.get("kind") == "ConfigMap":
        for name, text in mapping(resource.get("data")).items():
            with suppress(tomllib.TOMLDecodeError):
                yield tomllib.loads(str(text)) if name.endswith(".toml") else {}


def _process(place: str, pod: Node, container: object) -> Iterator[Workload]:
    entries = sequence(at(container, "env"))
    variables = {text_at(each, "name"): text_at(each, "value") for each in entries if at(each, "valueFrom") is None}
    words = [*words_of(at(container, "command")), *words_of(at(container, "args"))]
    if process := process_of(words, variables, text_at(container, "image")):
        rules = {**mapping(pod.get("securityContext")), **mapping(at(container, "securityContext"))}
        grace = pod.get("terminationGracePeriodSeconds")
        yield Workload(
            place,
            process,
            grace=float(grace) if isinstance(grace, int) else GRACE,
            is_root=_is_root(rules),
            is_privileged=rules.get("privileged") is True,
            is_read_only=rules.get("readOnlyRootFilesystem") is True,
            variables=variables,
            secret_variables=tuple(_filled_by_secrets(container)),
            secret_files=tuple(_secret_files(pod, container)),
            has_group="fsGroup" in rules or _is_root(rules) is True,
            probes={kind: _asked(probe) for kind, probe in mapping(container).items() if kind.endswith("Probe")},
            is_in_pod=True,
        )


def _is_root(rules: Node) -> bool | None:
    if rules.get("runAsUser") == 0:
        return True
    return False if rules.get("runAsNonRoot") is True or rules.get("runAsUser") else None


def _filled_by_secrets(container: object) -> Iterator[str]:
    for each in sequence(at(container, "env")):
        if at(each, "valueFrom", "secretKeyRef") is not None:
            yield text_at(each, "name")
    for each in sequence(at(container, "envFrom")):
        if name := text_at(each, "secretRef", "name"):
            yield f"all of the Secret {name}"


def _secret_files(pod: Node, container: object) -> Iterator[SecretFiles]:
    volumes = {text_at(each, "name"): at(each, "secret") for each in sequence(pod.get("volumes"))}
    for mount in sequence(at(container, "volumeMounts")):
        if (secret := volumes.get(text_at(mount, "name"))) is not None:
            mode = at(secret, "defaultMode")
            name, folder = text_at(secret, "secretName"), text_at(mount, "mountPath")
            yield SecretFiles(name, folder, mode if isinstance(mode, int) else SECRET_MODE)


def _asked(probe: object) -> str:
    """Return what a probe asks: a path, the words of a command, or a port that it opens."""
    command = " ".join(words_of(at(probe, "exec", "command")))
    return text_at(probe, "httpGet", "path") or command or f"port {text_at(probe, 'tcpSocket', 'port')}"


def _signal(trigger: object) -> tuple[str, str]:
    told = text_at(trigger, "metadata", "query") or text_at(trigger, "metadata", "protocol")
    return text_at(trigger, "resource", "name") or text_at(trigger, "type"), told
