"""Image, compose file and manifests: well-formed, in step with each other and with the code. No engine starts them."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from in_one_test import in_one_test

from tasks.events.drafts import finish_draft, read_draft
from tasks.sealing import generate_key, seal
from worker.observability.monitoring import LIVE, PORTS, READY
from worker.operations.doctor.workload_checks import stop_seconds
from worker.settings import Settings
from worker.settings.console import ConsoleSettings
from worker.settings.door import DoorProcessSettings
from worker.settings.sections import WorkerSettings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
KUBERNETES = ROOT / "deploy" / "kubernetes"
PROCESSES = ("intake", "worker", "recorder", "console", "door")
SINGLE = {"console": ConsoleSettings().port, "door": DoorProcessSettings().port}  # one of each, which serves others
VERSIONS = ("1.27", "1.31", "1.37")  # of Kubernetes: the oldest that will do, the last that the validator knows
# What of KEDA's ScaledObject is used (keda.sh, "ScaledObject specification", "Prometheus").
SCALED = {"scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval", "fallback", "advanced", "triggers"}
ASKED = {"serverAddress", "query", "threshold", "ignoreNullValues"}


def tool(name: str, *arguments: str) -> str:
    """What a linter of this virtualenv says; nothing where all is well."""
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def manifests(folder: Path) -> dict[str, Any]:
    """Every resource of the kustomization in *folder*, by kind and name."""
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    documents = [each for name in listed for each in yaml.safe_load_all((folder / name).read_text())]
    return {f"{each['kind']} {each['metadata']['name']}": each for each in documents}


BASE = manifests(KUBERNETES / "base") | manifests(KUBERNETES / "doors")
SCALERS = manifests(KUBERNETES / "autoscaling")
PODS = {name: BASE[f"Deployment {name}"]["spec"]["template"]["spec"] for name in PROCESSES}


def test_the_linters_have_nothing_to_say() -> None:
    """Of the Dockerfile, and of every YAML file."""
    assert tool("hadolint", "docker/Dockerfile") == ""
    assert tool("yamllint", "--strict", "docker", "deploy") == ""


def test_the_compose_file_has_the_shape_that_the_specification_asks_for() -> None:
    """The schema is that of the Compose Specification."""
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


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
def test_a_process_is_killed_only_when_it_has_had_the_time_to_stop(name: str) -> None:
    """What its calls get, what a silent broker gets, and a margin: in the manifests and in the compose file."""
    needed = stop_seconds(WorkerSettings().shutdown_grace)
    assert PODS[name]["terminationGracePeriodSeconds"] == needed
    assert COMPOSE["services"][name]["stop_grace_period"] == f"{needed:g}s"


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
    assert policies[1:] == [labels["worker"], labels["console"], labels["door"]]


@pytest.mark.parametrize(("name", "port"), SINGLE.items())
def test_strangers_reach_the_console_and_the_doors_and_nothing_else(name: str, port: int) -> None:
    """Its service and its policy name the port on which it serves; in the compose file this machine alone does."""
    [container], service = PODS[name]["containers"], BASE[f"Service {name}"]["spec"]
    assert container["ports"][1] == {"name": name, "containerPort": port}
    assert service["selector"] == BASE[f"Deployment {name}"]["spec"]["selector"]["matchLabels"]
    assert [each["targetPort"] for each in service["ports"]] == [name]
    assert BASE[f"NetworkPolicy {name}"]["spec"]["ingress"] == [{"ports": [{"port": name}]}]
    published = {name: each["ports"] for name, each in COMPOSE["services"].items() if "ports" in each}
    assert published[name] == [f"127.0.0.1:{port}:{port}"]
    assert published.keys() & {*PROCESSES} == SINGLE.keys()


def test_nobody_who_has_no_doors_gets_their_process() -> None:
    """It is a component of its own, and a profile."""
    assert "Deployment door" not in manifests(KUBERNETES / "base")
    assert COMPOSE["services"]["door"]["profiles"] == ["doors"]


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


def typed() -> list[list[str]]:
    """The words of each command that docs/running.md has people type for Kubernetes and Docker, loops written out."""
    text = (ROOT / "docs" / "running.md").read_text()
    lines = [line.strip() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    commands = [line for line in lines if line.startswith(("kubectl ", "docker"))]
    each = [
        line.replace("$process", name)
        for line in commands
        for name in ("intake", "worker", "recorder", "door", "operator")
    ]
    return [shlex.split(line) for line in dict.fromkeys(each)]


def test_what_is_typed_names_what_the_files_have() -> None:
    """Secrets as the pods mount them, folders that hold a kustomization, Deployments, labels, the compose file."""
    pods = [*PODS.values(), BASE["Job declare"]["spec"]["template"]["spec"]]
    wanted = {each["secret"]["secretName"] for pod in pods for each in pod["volumes"] if "secret" in each}
    commands = typed()
    assert {words[words.index("generic") + 1] for words in commands if "generic" in words} == wanted
    applied = [words[words.index("-k") + 1] for words in commands if "-k" in words]
    assert applied
    assert all((KUBERNETES / "overlays" / Path(each).name / "kustomization.yaml").exists() for each in applied)
    watched = {words[-1].replace("deployment/", "Deployment ") for words in commands if "rollout" in words}
    assert watched <= BASE.keys()
    selected = {name for words in commands if "-l" in words for name in re.findall(r"[(, ](\w+)[,)]", words[-1])}
    assert selected <= set(PROCESSES)
    assert ["docker", "compose", "-f", "docker/compose.yaml", "up", "--build"] in commands


# -- the compose file ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder docker/ after `docker/prepare sandbox cluster doors`."""
    folder = tmp_path_factory.mktemp("prepared") / "docker"
    shutil.copytree(DOCKER, folder, ignore=shutil.ignore_patterns("secrets", "keys", "console", ".env"))
    subprocess.run([folder / "prepare", "sandbox", "cluster", "doors"], check=True, capture_output=True)
    return folder


def test_every_service_of_ours_finds_the_settings_that_it_needs(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its secrets under the names that the compose file gives them; each process is a broker user of its own."""
    users = {}
    for name, service in COMPOSE["services"].items():
        if service["image"] == "revoker" and name != "sandbox":
            folder = prepared / "of" / name
            folder.mkdir(parents=True)
            files = {"/run/secrets": str(folder), "/etc/revoker/revoker.toml": str(prepared / "sandbox.toml")}
            for secret in service["secrets"]:
                source, target = (secret["source"], secret["target"]) if isinstance(secret, dict) else (secret, secret)
                file = prepared / COMPOSE["secrets"][source]["file"]
                if target.startswith("/"):
                    files[target] = str(file)
                else:
                    shutil.copy(file, folder / target)
            with monkeypatch.context() as patch:
                for variable, value in service["environment"].items():
                    patch.setenv(variable, files.get(value, value))
                users[name] = Settings.load().broker_url.get_secret_value().partition("://")[2].partition(":")[0]
    assert {name: users[name] for name in PROCESSES} == {name: name for name in PROCESSES} | {"console": "operator"}
    assert (users["declare"], users["samples"]) == ("operator", "producer")


def test_what_is_prepared_is_for_its_owner_alone(prepared: Path) -> None:
    """But for the passwords of two servers that read them as users of their own, in a folder that is closed."""
    modes = {each.name: each.stat().st_mode & 0o777 for each in (prepared / "secrets").iterdir()}
    assert {name for name, mode in modes.items() if mode != 0o600} == {"postgres_password", "grafana_password"}
    assert (prepared / "secrets").stat().st_mode & 0o777 == 0o700
    assert {each["file"] for each in COMPOSE["secrets"].values()} == {f"./secrets/{name}" for name in modes}


def test_nothing_prepared_is_overwritten(prepared: Path) -> None:
    """The data of the servers know the passwords of the first time."""
    before = (prepared / "secrets/subject_key").read_bytes()
    again = subprocess.run([prepared / "prepare"], check=False, capture_output=True, text=True)
    assert again.returncode == 1
    assert "remove them to start anew" in again.stderr
    assert (prepared / "secrets/subject_key").read_bytes() == before


def test_the_settings_for_your_own_providers_are_fit(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are, without any."""
    for name in ("broker_url_worker", "ledger_url", "subject_key"):
        monkeypatch.setenv(f"REVOKER_{name.removesuffix('_worker').upper()}", (prepared / "secrets" / name).read_text())
    monkeypatch.setenv("REVOKER_CONFIG_FILE", str(prepared / "revoker.toml"))
    assert Settings.load().providers == {}


def test_every_sample_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of providers that the sandbox's settings name."""
    monkeypatch.setenv("REVOKER_CONFIG_FILE", str(DOCKER / "sandbox.toml"))
    monkeypatch.setenv("REVOKER_SUBJECT_KEY", "k" * 32)
    key = generate_key("test-key")
    for line in (DOCKER / "samples.jsonl").read_text().splitlines():
        event = finish_draft(read_draft(line), lambda token, provider: seal(token, provider, key), "urn:revoker:cli")
        data = event.document["data"]
        named = {*data.get("accounts", {}), *(each["provider"] for each in data.get("sessions", []))}
        assert named <= Settings.load().providers.keys()


def test_what_is_mounted_is_there() -> None:
    """Of the repository, but for what `docker/prepare` makes; and Prometheus asks what the services answer."""
    volumes = [volume for service in COMPOSE["services"].values() for volume in service.get("volumes", [])]
    named = {volume.replace("${REVOKER_TOML:-./revoker.toml}", "./revoker.toml").split(":")[0] for volume in volumes}
    made = {"./keys", "./console"}
    files = {each for each in named if each.startswith(".")} - made
    assert [each for each in files if not (DOCKER / each).exists()] == []
    assert named - files - made == COMPOSE["volumes"].keys()
    asked = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())["scrape_configs"]
    [targets] = [each["static_configs"][0]["targets"] for each in asked if each["job_name"] == "revoker"]
    assert targets == [f"{name}:{PORTS[name]}" for name in PROCESSES]
    assert "--config.file=/etc/prometheus/prometheus.yaml" in COMPOSE["services"]["prometheus"]["command"]


@in_one_test
@pytest.mark.parametrize("image", [each["image"] for each in COMPOSE["services"].values()])
def test_every_image_is_of_one_version(image: str) -> None:
    """Ours is built; a tag that moves on would change the installation by itself."""
    assert image == "revoker" or re.search(r":v?\d+\.\d+(\.\d+)?$", image)


def test_the_base_image_is_pinned_by_its_digest() -> None:
    """In one place, for both stages."""
    text = (DOCKER / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${PYTHON}"] * 2
