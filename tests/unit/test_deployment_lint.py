"""A deployment's files, looked at before an engine gets them: ours are in order, and what is broken is found."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from in_one_test import in_one_test
from starting import without_settings

from worker.cli import main
from worker.operations.doctor.deployment import examine_deployment
from worker.operations.doctor.findings import CHECKS, Finding

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker" / "compose.yaml"
KUBERNETES = ROOT / "deploy" / "kubernetes"
WORKER = KUBERNETES / "base" / "worker.yaml"
SCALED = KUBERNETES / "autoscaling" / "worker.yaml"
INTAKE_SCALED = KUBERNETES / "autoscaling" / "intake.yaml"

SECRET = "value-that-nobody-may-see"
ENV = "            - {name: REVOKER_MONITORING__HOST, value: 0.0.0.0}"
ARGS = "          args: [worker]\n"
KEYS = "secretName: revoker-keys, defaultMode: 0400"
PROBE = "            httpGet: {path: /livez, port: monitoring}\n"
LIVE, STARTUP = f"          livenessProbe:\n{PROBE}", f"          startupProbe:\n{PROBE}"
PING = "            exec: {command: [celery, -A, worker, inspect, ping]}\n"
PORT = "            tcpSocket: {port: monitoring}\n"
GROUP = "        fsGroup: 10001  # it may read the secrets' files, nobody else may\n"
COMMAND = "    command: [worker]"
FEWEST = "  minReplicaCount: 2  # never 0: somebody must probe the held, and see what waits\n"
TRIGGERS = "triggers:\n    - type: prometheus"
HPA = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: worker}
spec:
  scaleTargetRef: {name: worker}
  metrics: [{type: Resource, resource: {name: cpu}}]
---
"""


class Case(NamedTuple):
    """What is changed in a file of ours, and what is found then."""

    file: Path
    what: str
    instead: str
    check: str
    state: str


def variable(name: str, value: str) -> str:
    """One more entry of a container's `env`."""
    return f"{ENV}\n            - {{name: {name}, {value}}}"


def service(line: str) -> str:
    """One more line of the service `worker`."""
    return f"{COMMAND}\n    {line}"


def triggers(protocol: str) -> str:
    """One more trigger, which asks RabbitMQ."""
    return TRIGGERS.replace("\n", f"\n    - {{type: rabbitmq, metadata: {{protocol: {protocol}}}}}\n")


BROKEN = [
    Case(WORKER, "Seconds: 90", "Seconds: 60", "grace", "failed"),
    Case(WORKER, "      terminationGracePeriodSeconds: 90\n", "", "grace", "failed"),
    Case(WORKER, ENV, variable("REVOKER_WORKER__SHUTDOWN_GRACE", "value: '50'"), "grace", "failed"),
    Case(COMPOSE, "stop_grace_period: 90s", "stop_grace_period: 1m20s", "grace", "failed"),
    Case(COMPOSE, "  stop_grace_period: 90s", "  init: true", "grace", "failed"),
    Case(WORKER, LIVE, LIVE.replace("livez", "readyz"), "probes", "failed"),
    Case(WORKER, STARTUP, STARTUP.replace("livez", "startupz"), "probes", "failed"),
    Case(WORKER, LIVE, LIVE.replace(PROBE, PING), "probes", "failed"),
    Case(WORKER, LIVE, LIVE.replace(PROBE, PORT), "probes", "warning"),
    Case(WORKER, "livenessProbe:", "lifecycle:", "probes", "warning"),
    Case(WORKER, "readinessProbe:", "lifecycle:", "probes", "warning"),
    Case(COMPOSE, COMMAND, service("healthcheck: {disable: true}"), "probes", "warning"),
    Case(WORKER, "runAsUser: 10001", "runAsUser: 0", "user", "failed"),
    Case(WORKER, "        runAsNonRoot: true\n        runAsUser: 10001\n", "", "user", "warning"),
    Case(WORKER, "allowPrivilegeEscalation: false", "privileged: true", "user", "failed"),
    Case(COMPOSE, COMMAND, service("user: root"), "user", "failed"),
    Case(COMPOSE, COMMAND, service("user: '0:0'"), "user", "failed"),
    Case(COMPOSE, COMMAND, service("privileged: true"), "user", "failed"),
    Case(WORKER, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "root", "warning"),
    Case(COMPOSE, COMMAND, service("read_only: false"), "root", "warning"),
    Case(WORKER, ENV, variable("REVOKER_BROKER_URL", f"value: {SECRET}"), "secrets", "failed"),
    Case(WORKER, ENV, variable("REVOKER_PROVIDERS__EU__CLIENT_SECRET", f"value: {SECRET}"), "secrets", "failed"),
    Case(WORKER, ENV, variable("REVOKER_SUBJECT_KEY", "valueFrom: {secretKeyRef: {name: s}}"), "secrets", "warning"),
    Case(WORKER, ARGS, f"{ARGS}          envFrom: [{{secretRef: {{name: revoker}}}}]\n", "secrets", "warning"),
    Case(COMPOSE, "REVOKER_SECRETS_DIR:", f"REVOKER_LEDGER_URL: {SECRET}\n    OTHER:", "secrets", "failed"),
    Case(WORKER, KEYS, "secretName: revoker-keys", "secrets", "failed"),
    Case(WORKER, KEYS, "secretName: revoker-keys, defaultMode: 0644", "secrets", "failed"),
    Case(WORKER, GROUP, "", "secrets", "warning"),
    Case(WORKER, "value: 0.0.0.0", "value: 127.0.0.1", "monitoring", "failed"),
    Case(WORKER, "value: 0.0.0.0", "value: localhost", "monitoring", "failed"),
    Case(WORKER, ENV, "", "monitoring", "unknown"),
    Case(WORKER, ENV, variable("REVOKER_MONITORING__PORT", "value: '0'"), "monitoring", "failed"),
    Case(COMPOSE, "    REVOKER_MONITORING__HOST: 0.0.0.0", "    REVOKER_LOG_LEVEL: INFO", "monitoring", "unknown"),
    Case(COMPOSE, "source: broker_url_worker", "source: broker_url_intake", "permissions", "warning"),
    Case(SCALED, FEWEST, FEWEST.replace("2", "0"), "autoscaling", "failed"),
    Case(SCALED, FEWEST, "", "autoscaling", "failed"),
    Case(INTAKE_SCALED, "minReplicaCount: 2", "idleReplicaCount: 0", "autoscaling", "failed"),
    Case(SCALED, TRIGGERS, triggers("amqp"), "autoscaling", "failed"),
    Case(SCALED, TRIGGERS, triggers("http"), "autoscaling", "failed"),
    Case(SCALED, "revoker_breaker_state", "up", "autoscaling", "warning"),
    Case(SCALED, "type: prometheus", "type: cpu", "autoscaling", "warning"),
    Case(SCALED, "apiVersion", f"{HPA}apiVersion", "autoscaling", "warning"),
    Case(WORKER, "kind: Deployment", "kind: Service", "file", "unknown"),
    Case(WORKER, "kind: Deployment", "kind: [", "file", "failed"),
]


def test_our_own_files_are_in_order() -> None:
    """Each process in each of them is looked at by every check."""
    findings = list(examine_deployment([COMPOSE, KUBERNETES]))
    assert [each for each in findings if each.state != "ok"] == []
    checks = {name for name in CHECKS if name.startswith("deployment.")}
    assert {each.check for each in findings} == checks - {"deployment.file", "deployment.permissions"}
    assert len({each.about for each in findings}) == 2 * 6 + 2  # processes in each, and what scales two of them


@in_one_test
@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_found(tmp_path: Path, case: Case) -> None:
    """That and nothing else, with what to do about it; a secret is not repeated."""
    text = case.file.read_text()
    assert case.what in text
    changed = tmp_path / case.file.name
    changed.write_text(text.replace(case.what, case.instead))
    faults = [each for each in examine_deployment([changed]) if each.state != "ok"]
    assert {(each.check, each.state) for each in faults} == {(f"deployment.{case.check}", case.state)}
    assert all(each.advice for each in faults)
    assert SECRET not in repr(faults)


def test_two_processes_that_share_a_secret_share_a_broker_user(tmp_path: Path) -> None:
    """Across files, and in pods."""
    for name in ("intake", "worker"):
        text = (KUBERNETES / "base" / f"{name}.yaml").read_text()
        (tmp_path / f"{name}.yaml").write_text(text.replace(f"revoker-{name}", "revoker"))
    [finding] = [each for each in examine_deployment([tmp_path]) if each.state != "ok"]
    assert (finding.check, finding.state) == ("deployment.permissions", "warning")
    assert "intake, worker" in finding.detail


@pytest.mark.parametrize(("host", "state"), [("0.0.0.0", "ok"), ("127.0.0.1", "failed")])  # noqa: S104 - of a pod
def test_settings_in_a_config_map_count(tmp_path: Path, host: str, state: str) -> None:
    """What a variable does not say, the TOML document in the same files may."""
    settings = (
        f"apiVersion: v1\nkind: ConfigMap\ndata:\n  revoker.toml: |\n    [monitoring]\n    host = '{host}'\n---\n"
    )
    file = tmp_path / "all.yaml"
    file.write_text(settings + WORKER.read_text().replace(ENV, ""))
    assert [each.state for each in examine_deployment([file]) if each.check == "deployment.monitoring"] == [state]


@pytest.mark.parametrize(("command", "place"), [("[console]", "compose.yaml: one"), ("[console, users, list]", "")])
def test_a_command_beside_the_console_is_no_process(tmp_path: Path, command: str, place: str) -> None:
    """It ends again by itself."""
    file = tmp_path / "compose.yaml"
    file.write_text(f"services: {{one: {{image: revoker, command: {command}}}}}")
    assert {each.about for each in examine_deployment([file])} == {place or str(file)}


@in_one_test
@pytest.mark.parametrize("program", ["[revoker, worker]", "revoker worker", "celery -A worker worker"])
def test_a_process_is_known_by_its_command(tmp_path: Path, program: str) -> None:
    """However it is started; what is not ours is left alone, and so is a command that is no process."""
    file = tmp_path / "compose.yaml"
    file.write_text(
        f"services:\n  one:\n    image: example/revoker:1\n    command: {program}\n  web: {{image: nginx}}\n"
    )
    assert {each.about for each in examine_deployment([file])} == {"compose.yaml: one"}


@in_one_test
@pytest.mark.parametrize(
    "text",
    [
        "services: 5",
        "services: {intake: 5}",
        "services: {intake: {image: revoker, command: [intake], environment: 5, secrets: {}, user: []}}",
        "kind: Deployment",
        "{kind: Deployment, spec: {template: {spec: {containers: [{image: revoker, args: [worker], env: [5, x]}]}}}}",
        "{kind: Pod, spec: {containers: {}}}",
        "{kind: List, items: [5, {kind: Pod, spec: 5}]}",
        "{kind: ScaledObject, spec: {triggers: 5, minReplicaCount: x}}",
        "{kind: ConfigMap, data: {revoker.toml: '['}}",
        "- 5",
        "",
        "\x00",
        "[" * 5000,
    ],
)
def test_a_file_of_any_shape_is_looked_at(tmp_path: Path, text: str) -> None:
    """It is for the engine to say what is ill-formed."""
    file = tmp_path / "strange.yaml"
    file.write_text(text)
    assert all(isinstance(each, Finding) for each in examine_deployment([file]))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """And the others are looked at all the same."""
    findings = list(examine_deployment([tmp_path / "nowhere.yaml", WORKER]))
    assert (findings[0].check, findings[0].state) == ("deployment.file", "failed")
    assert str(tmp_path / "nowhere.yaml") == findings[0].about
    assert len(findings) > 5


def test_the_doctor_looks_at_the_files_and_at_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs no settings, and ends with 1 where something is not in order."""
    without_settings(monkeypatch, tmp_path)
    monkeypatch.delenv("REVOKER_SUBJECT_KEY")
    command = ["doctor", "--strict", "--against"]
    done = CliRunner().invoke(main, [*command, str(COMPOSE), "--against", str(KUBERNETES)], prog_name="revoker")
    assert (done.exit_code, done.stdout.count("deployment.")) == (0, 2 * 6 * 6 + 2)
    broken = tmp_path / "worker.yaml"
    broken.write_text(WORKER.read_text().replace("Seconds: 90", "Seconds: 30"))
    done = CliRunner().invoke(main, [*command, str(broken), "-o", "json"], prog_name="revoker")
    assert done.exit_code == 1
    [fault] = [each for each in json.loads(done.stdout)["items"] if each["state"] == "failed"]
    assert (fault["check"], fault["about"]) == ("deployment.grace", "worker.yaml: Deployment worker")
    assert fault["remedy"] == "set terminationGracePeriodSeconds: 90"
