"""What can be wrong with how a deployment starts one process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Final

from tasks.hosts import is_loopback
from worker.broker.connection import HEARTBEAT
from worker.operations.doctor.workload import PREFIX, Fault, Node, SecretFiles, Workload, at
from worker.settings import Settings
from worker.settings.names import BETWEEN, SettingNames
from worker.settings.sections import WorkerSettings

STOP_MARGIN: Final = 10.0  # seconds for what comes after the last word of the broker

_OF_OTHERS: Final = 0o337  # of a secret file's mode: only the owner, and a group by reading, may touch it
_ASK_THE_BROKER: Final = ("/readyz", "/startupz", "health ready", "health started", "inspect ping", "inspect -")
_LIVE: Final = ("/livez", "health live")


def stop_seconds(shutdown_grace: float) -> float:
    """Seconds that a process needs between SIGTERM and SIGKILL.

    Its calls get *shutdown_grace*; a broker that has gone silent is given up after two heartbeats.
    """
    return shutdown_grace + 2 * HEARTBEAT + STOP_MARGIN


def _grace(workload: Workload, settings: Sequence[Node]) -> Iterator[Fault]:
    told = _told(workload, settings, "worker", "shutdown_grace")
    grace = WorkerSettings().shutdown_grace
    with suppress(ValueError):
        grace = float(str(told)) if told is not None else grace
    needed = stop_seconds(grace)
    if workload.grace < needed:
        detail = f"is killed {workload.grace:g} s after SIGTERM; to stop in order it needs up to {needed:g} s"
        name = "terminationGracePeriodSeconds: " if workload.is_in_pod else "stop_grace_period: "
        yield Fault("failed", detail, f"set {name}{needed:g}{'' if workload.is_in_pod else 's'}")


def _probes(workload: Workload, _settings: Sequence[Node]) -> Iterator[Fault]:
    if not workload.is_in_pod:
        if not workload.probes:
            yield Fault("warning", "its health check is switched off", "leave out healthcheck: the image has one")
        return
    for kind in ("livenessProbe", "startupProbe"):
        asked = workload.probes.get(kind, "")
        if any(each in asked for each in _ASK_THE_BROKER):
            detail = f"its {kind} asks {asked}: when the broker is away all of them are restarted"
            yield Fault("failed", detail, f"let the {kind} ask /livez")
    if "livenessProbe" not in workload.probes:
        yield Fault("warning", "has no livenessProbe: a loop that stands still stays", "let one ask /livez")
    elif not any(each in workload.probes["livenessProbe"] for each in (*_LIVE, *_ASK_THE_BROKER)):
        yield Fault("warning", f"its livenessProbe asks {workload.probes['livenessProbe']}", "let it ask /livez")
    if "readinessProbe" not in workload.probes:
        detail = "has no readinessProbe: a rollout goes on before the new ones consume"
        yield Fault("warning", detail, "let one ask /readyz")


def _user(workload: Workload, _settings: Sequence[Node]) -> Iterator[Fault]:
    if workload.is_root:
        yield Fault("failed", "runs as root", "leave the user to the image, or name one that is not root")
    elif workload.is_root is None and workload.is_in_pod:
        yield Fault("warning", "nothing forbids it to run as root", "set securityContext.runAsNonRoot: true")
    if workload.is_privileged:
        yield Fault("failed", "is privileged", "leave privileged out: it needs no capability")


def _root(workload: Workload, _settings: Sequence[Node]) -> Iterator[Fault]:
    if not workload.is_read_only:
        name = "securityContext.readOnlyRootFilesystem" if workload.is_in_pod else "read_only"
        yield Fault("warning", "may write to its root", f"set {name}: true, and give it a /tmp in memory")


def _secrets(workload: Workload, _settings: Sequence[Node]) -> Iterator[Fault]:
    as_files = f"give it as a file of that name without {PREFIX}, in the folder REVOKER_SECRETS_DIR"
    for name in workload.variables:
        path = name.removeprefix(PREFIX).lower().split(BETWEEN)
        if name.startswith(PREFIX) and _names().is_secret(path):
            yield Fault("failed", f"the secret {name} stands in the file", as_files)
    for name in workload.secret_variables:
        detail = f"{name} is a variable: it is shown by debuggers, and replaced by a restart only"
        yield Fault("warning", detail, as_files)
    for each in workload.secret_files:
        yield from _secret_file_faults(each, has_group=workload.has_group)


@cache
def _names() -> SettingNames:
    return SettingNames(Settings)


def _secret_file_faults(files: SecretFiles, *, has_group: bool) -> Iterator[Fault]:
    if files.mode is None:
        return
    if files.mode & _OF_OTHERS:
        detail = f"the files of the secret {files.name} have mode {files.mode:04o}: no process starts with them"
        yield Fault("failed", detail, "set defaultMode: 0400, and fsGroup in the pod's securityContext")
    elif not has_group:
        detail = f"the files of the secret {files.name} are root's alone"
        yield Fault("warning", detail, "set fsGroup in the pod's securityContext, unless the platform does")


def _monitoring(workload: Workload, settings: Sequence[Node]) -> Iterator[Fault]:
    asks = workload.is_scraped or any(each.startswith("/") for each in workload.probes.values())
    if not asks:
        return
    remedy = f"set {PREFIX}MONITORING__HOST to 0.0.0.0"
    host = _told(workload, settings, "monitoring", "host")
    if host is None:
        detail = "nothing here says where metrics and health are served; by default on loopback, which nobody reaches"
        yield Fault("unknown" if not settings else "failed", detail, f"{remedy}, unless your TOML file does")
    elif is_loopback(str(host)):
        yield Fault("failed", "serves metrics and health on loopback, where nobody reaches them", remedy)
    if str(_told(workload, settings, "monitoring", "port")) == "0":
        yield Fault("failed", "serves no metrics and no health (port 0), and is asked for them", "leave the port out")


def _told(workload: Workload, settings: Sequence[Node], *path: str) -> object:
    """The setting at *path*, as a variable or a ConfigMap has it; None where neither does."""
    variable = workload.variables.get(f"{PREFIX}{BETWEEN.join(path)}".upper())
    documents = (found for each in settings if (found := at(each, *path)) is not None)
    return next(documents, None) if variable is None else variable


Check = Callable[[Workload, Sequence[Node]], Iterator[Fault]]
CHECKS: Final[Sequence[tuple[str, str, Check]]] = (  # what is checked, what to say where nothing is wrong, and how
    ("deployment.grace", "has the time that it needs to stop", _grace),
    ("deployment.probes", "is restarted for a loop that stands still, and for nothing else", _probes),
    ("deployment.user", "does not run as root", _user),
    ("deployment.root", "cannot write to its root", _root),
    ("deployment.secrets", "gets its secrets as files for itself alone", _secrets),
    ("deployment.monitoring", "is reached by who asks for its metrics and health", _monitoring),
)
