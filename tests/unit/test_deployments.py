"""Image, compose file and manifests in step with each other, with the code and with what people type."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from deployments import BASE, COMPOSE, KUBERNETES, PODS, PROCESSES, ROOT, SINGLE, manifests

from worker.operations.doctor.workload_checks import stop_seconds
from worker.settings.sections import WorkerSettings


def tool(name: str, *arguments: str) -> str:
    """What a linter of this virtualenv says; nothing where all is well."""
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_the_linters_have_nothing_to_say() -> None:
    """Of the Dockerfile, and of every YAML file."""
    assert tool("hadolint", "docker/Dockerfile") == ""
    assert tool("yamllint", "--strict", "docker", "deploy") == ""


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_is_killed_only_when_it_has_had_the_time_to_stop(name: str) -> None:
    """What its calls get, what a silent broker gets, and a margin: in the manifests and in the compose file."""
    needed = stop_seconds(WorkerSettings().shutdown_grace)
    assert PODS[name]["terminationGracePeriodSeconds"] == needed
    assert COMPOSE["services"][name]["stop_grace_period"] == f"{needed:g}s"


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
