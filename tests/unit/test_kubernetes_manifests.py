"""The manifests: as Kubernetes asks for them, with no right that is not needed, and whole as kustomize reads them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from deployments import BASE, KUBERNETES, PODS, PROCESSES, SINGLE, manifests
from in_one_test import in_one_test

from worker.observability.monitoring import LIVE, PORTS, READY
from worker.operations.doctor.workload_checks import stop_seconds
from worker.settings.sections import WorkerSettings

SCALERS = manifests(KUBERNETES / "autoscaling")

VERSIONS = ("1.27", "1.31", "1.37")  # of Kubernetes: the oldest that will do, the last that the validator knows
# What of KEDA's ScaledObject is used (keda.sh, "ScaledObject specification", "Prometheus").
SCALED = {"scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval", "fallback", "advanced", "triggers"}
ASKED = {"serverAddress", "query", "threshold", "ignoreNullValues"}


@in_one_test
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", BASE)
def test_every_manifest_has_the_shape_that_kubernetes_asks_for(name: str, version: str) -> None:
    """Strictly: with no field that it does not know."""
    assert kubernetes_validate.validate(BASE[name], version, strict=True) == version


def test_what_scales_says_nothing_that_keda_does_not_know() -> None:
    """Kubernetes has no schema of it. A scaled one is never 0, and one after the other goes, with time to stop."""
    for scaler in SCALERS.values():
        assert scaler["spec"].keys() <= SCALED
        assert all(each["metadata"].keys() == ASKED for each in scaler["spec"]["triggers"])
        [policy] = scaler["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["policies"]
        assert (policy["type"], policy["value"]) == ("Pods", 1)
        assert policy["periodSeconds"] > stop_seconds(WorkerSettings().shutdown_grace)
        assert f"Deployment {scaler['spec']['scaleTargetRef']['name']}" in BASE


@pytest.mark.parametrize("name", PROCESSES)
def test_a_probe_asks_what_the_process_answers(name: str) -> None:
    """Where it listens, and nothing about the broker but whether it is ready."""
    [container] = PODS[name]["containers"]
    assert container["args"] == [name]
    assert container["ports"][0] == {"name": "monitoring", "containerPort": PORTS[name]}
    asked = {kind: each["httpGet"] for kind, each in container.items() if kind.endswith("Probe")}
    ask = {"port": "monitoring"}
    wanted = {"startupProbe": LIVE, "livenessProbe": LIVE, "readinessProbe": READY}
    assert asked == {kind: ask | {"path": path} for kind, path in wanted.items()}


def test_a_pod_may_do_nothing_that_it_need_not() -> None:
    """Nobody's user, no capability, no token of Kubernetes, a root that cannot be written to."""
    for pod in (*PODS.values(), BASE["Job declare"]["spec"]["template"]["spec"]):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert [each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")] == ["/tmp"]  # noqa: S108


def test_what_belongs_together_is_found_by_its_labels() -> None:
    """Deployments find their pods, budgets and policies theirs; one of a kind can always go."""
    labels = {name: BASE[f"Deployment {name}"]["spec"]["template"]["metadata"]["labels"] for name in PROCESSES}
    for name, own in labels.items():
        deployment, budget = BASE[f"Deployment {name}"]["spec"], BASE[f"PodDisruptionBudget {name}"]["spec"]
        assert deployment["selector"]["matchLabels"] == budget["selector"]["matchLabels"] == own
        assert budget["maxUnavailable"] == 1
        assert deployment["replicas"] == (1 if name in SINGLE else 2)
    policies = [each["spec"]["podSelector"]["matchLabels"] for key, each in BASE.items() if "NetworkPolicy" in key]
    assert policies[0].items() <= labels["intake"].items()
    assert policies[1:] == [labels[name] for name in ("worker", "console", "door", "sweep")]


# -- kustomize ----------------------------------------------------------------------------------------


def kustomizations() -> Iterator[tuple[Path, Any]]:
    """Every kustomization, and its folder."""
    for file in sorted(KUBERNETES.rglob("kustomization.yaml")):
        yield file.parent, yaml.safe_load(file.read_text())


def resources(folder: Path) -> list[Any]:
    """What the kustomization in *folder* builds on, before its own patches."""
    document = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found: list[Any] = []
    for name in [*document.get("resources", []), *document.get("components", [])]:
        path = (folder / name).resolve()
        found += resources(path) if path.is_dir() else yaml.safe_load_all(path.read_text())
    return found


def test_every_file_of_a_kustomization_is_there_and_none_is_left_out() -> None:
    """Resources, components and files for ConfigMaps."""
    for folder, document in kustomizations():
        generated = [each for made in document.get("configMapGenerator", []) for each in made["files"]]
        named = [*document.get("resources", []), *document.get("components", []), *generated]
        assert [each for each in named if not (folder / each).exists()] == []
        beside = {each.name for each in folder.iterdir() if each.is_file()} - {"kustomization.yaml"}
        assert beside <= set(named)


def test_every_patch_has_something_to_change() -> None:
    """Each of its targets is there, and the path that it takes away as well."""
    for folder, document in kustomizations():
        known = [*BASE.values(), *resources(folder)]
        for patch in document.get("patches", []):
            targets = [each for each in known if matches(patch["target"], each)]
            assert targets
            for change in yaml.safe_load(patch["patch"]):
                assert change["op"] == "remove"
                assert [each["metadata"]["name"] for each in targets if at(each, change["path"]) is None] == []


def matches(target: Any, resource: Any) -> bool:
    """Whether a patch's *target* means *resource*."""
    return target["kind"] == resource["kind"] and target.get("name") in {None, resource["metadata"]["name"]}


def at(resource: Any, path: str) -> Any:
    """What a JSON pointer leads to."""
    for part in path.strip("/").split("/"):
        resource = resource.get(part) if isinstance(resource, dict) else None
    return resource


def test_an_overlay_brings_the_settings_and_the_image_that_the_base_asks_for() -> None:
    """By the names that stand there."""
    document = yaml.safe_load((KUBERNETES / "overlays/production/kustomization.yaml").read_text())
    volumes = [each for pod in PODS.values() for each in pod["volumes"]]
    assert {each["configMap"]["name"] for each in volumes if "configMap" in each} == {
        each["name"] for each in document["configMapGenerator"]
    }
    images = {each["image"] for pod in PODS.values() for each in pod["containers"]}
    assert images == {each["name"] for each in document["images"]}
