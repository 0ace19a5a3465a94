"""Every process as the manifests and the image start it: its user, its root that cannot be written to, its files."""

import os
import signal
import ssl
import urllib.request
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from certificates import self_signed
from containers import Identity, handles, process_one, read_image, start
from servers import Daemon, Processes, free_port, wait_until
from system import PROCESSES, SOURCE, System

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
SECRETS = ("broker_url", "ledger_url", "subject_key")
OURS = (*PROCESSES, "console", "door")
DIRECTORY = {
    "kind": "scim",
    "url": "https://revoker.example.com/directory",
    "bearer_file": "/run/door-secrets/directory",
    "subject_issuer": "https://login.example.com",
}
DIRECTORY_SECRET = uuid.uuid4().hex
OF_THE_IMAGE = Identity(10001, 10001, 10001)
OF_OPENSHIFT = Identity(1_000_660_000, 0, 1_000_660_000)
# In a bare Debian each process as each of them; else, because a start costs a second of CPU, some as one of them.
WHO = (
    [dict.fromkeys(OURS, each) for each in (OF_THE_IMAGE, OF_OPENSHIFT)]
    if "CONTAINER_ROOT" in os.environ
    else [dict.fromkeys(OURS, OF_OPENSHIFT) | {"intake": OF_THE_IMAGE, "recorder": OF_THE_IMAGE}]
)

pytestmark = pytest.mark.executed


class Pods:
    """The pods of an installation, each with files as the kubelet lays them out."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._settings = (system.home / "revoker.toml").read_text().splitlines(keepends=True)
        self.ports: dict[str, int] = {}
        self.console_port, self.door_port = free_port(), free_port()
        self.started: list[Daemon] = []

    def start(self, name: str, identity: Identity, *arguments: str) -> Daemon:
        """Start the process of the manifest *name*.yaml, or another command in a container like its own."""
        folder = "doors" if name == "door" else "base"
        manifest = next(yaml.safe_load_all((KUBERNETES / folder / f"{name}.yaml").read_text()))
        pod = manifest["spec"]["template"]["spec"]
        [container] = pod["containers"]
        port = self.ports.setdefault(name, free_port())
        # The machine that runs the tests shall listen on loopback alone.
        here = {"REVOKER_MONITORING__HOST": "127.0.0.1", "REVOKER_MONITORING__PORT": str(port)}
        here |= {"REVOKER_CONSOLE__HOST": "127.0.0.1", "REVOKER_CONSOLE__PORT": str(self.console_port)}
        here |= {"REVOKER_DOOR__HOST": "127.0.0.1", "REVOKER_DOOR__PORT": str(self.door_port)}
        told = {each["name"]: each["value"] for each in container["env"]} | here
        process = Daemon(self._system.home, f"pod-{len(self.started)}")
        self.started.append(process)
        mounts = dict(self._mounts(process.name, pod, container, identity))
        return start(process, identity, arguments or container["args"], told, mounts)

    def _mounts(self, name: str, pod: Any, container: Any, identity: Identity) -> Iterator[tuple[str, str]]:
        volumes = {each["name"]: each for each in pod["volumes"]}
        for mount in container["volumeMounts"]:
            volume = volumes[mount["name"]]
            if "emptyDir" not in volume:
                folder = self._system.home / f"{name}-{mount['name']}"
                mode = (volume["secret"]["defaultMode"] | 0o040) if "secret" in volume else 0o644
                _volume(folder, self._files(mount["name"]), mode, identity.files_group)
                yield mount["mountPath"], str(folder)

    def _files(self, volume: str) -> dict[str, str]:
        if volume == "keys":
            return {each.name: each.read_text() for each in (self._system.home / "keys").iterdir()}
        if volume == "secrets":
            return {each: str(self._system.document[each]) for each in SECRETS}
        if volume == "tls":
            pair = self_signed(self._system.home).read_text()
            return {"tls.crt": pair, "tls.key": pair}
        if volume in {"users", "proofs"}:
            return {"users.json": '{"users": {}}', "directory": f"{DIRECTORY_SECRET}\n"}
        others = [each for each in self._settings if not each.startswith((*SECRETS, "keys_dir"))]
        return {"revoker.toml": "".join(['keys_dir = "/run/keys"\n', *others])}

    def wait_ready(self, name: str) -> None:
        """Wait until the process consumes its queues."""
        try:
            wait_until(lambda: self.asks(name, "/readyz") == 200, 60, f"{name} to be ready")
        except AssertionError as late:
            late.add_note("\n".join(each.tail for each in self.started))
            raise

    def asks(self, name: str, path: str) -> int:
        """What a probe of the process is answered; 0: nothing."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0


def _volume(folder: Path, files: dict[str, str], mode: int, group: int) -> None:
    """As the kubelet does: the files in a dated folder, a link to it, and links to what is in there."""
    data = folder / "..2026_11_27_03_00_00.1"
    data.mkdir(parents=True)
    for name, text in files.items():
        (data / name).write_text(text)
        os.chown(data / name, 0, group)
        (data / name).chmod(mode)
        (folder / name).symlink_to(f"..data/{name}")
    (folder / "..data").symlink_to(data.name)


@pytest.fixture
def system(tmp_path: Path, rabbitmq_url: str, postgres_url: str, processes: Processes) -> Iterator[System]:
    """An installation whose processes are in pods; the servers and the providers are not."""
    if os.geteuid() != 0:
        pytest.fail("run this test as root: it makes namespaces and mounts", pytrace=False)
    sources = {
        "tests": {"source": SOURCE, "trusted": True},
        "directory": {"source": "urn:test:directory", "doors": ["directory"]},
    }
    doors = {"directory": DIRECTORY}
    made = System(tmp_path / "system", rabbitmq_url, processes, ledger_url=postgres_url, sources=sources, doors=doors)
    (made.home / "revoker.toml").chmod(0o600)
    yield made
    made.close()


@pytest.fixture
def pods(system: System) -> Iterator[Pods]:
    """Its pods, ended with the test."""
    made = Pods(system)
    yield made
    for each in made.started:
        each.kill9()


@pytest.mark.parametrize("who", WHO, ids=lambda who: "-".join(str(each.user) for each in who.values()))
def test_every_process_does_its_job_in_its_container(system: System, pods: Pods, who: dict[str, Identity]) -> None:
    """With a user that has no name and no home, secrets of the kubelet's, and a root that cannot be written to.

    Each answers its probes. Process 1 takes the signal to stop, ends with 0, and has left nobody behind.
    """
    assert pods.start("declare", OF_THE_IMAGE).wait(20) == 0
    running = {name: pods.start(name, who[name]) for name in OURS}
    for name in running:
        pods.wait_ready(name)
    events = [system.ended(system.session("finbourne", "sbx-one")), system.disabled()]
    system.wait_closed(system.publish(events), 30)
    assert system.states(events[0]["id"]) == {"finbourne": "accepted"}
    assert pods.start("worker", OF_THE_IMAGE, *read_image().health_check[1:]).wait(20) == 0
    assert "Sign in" in shown(f"https://127.0.0.1:{pods.console_port}/sign-in")
    directory = f"https://127.0.0.1:{pods.door_port}/directory/Users"
    assert '"totalResults":0' in shown(directory, Authorization=f"Bearer {DIRECTORY_SECRET}").replace(" ", "")
    for name, process in running.items():
        inside = Path(f"/proc/{process_one(process)}/root")
        assert pods.asks(name, "/livez") == 200
        assert (inside / "proc/1/environ").read_bytes().count(b"HOME=") == 0
        assert states(inside) == {"Z": 0}, name
        assert sorted(each.name for each in (inside / "tmp").iterdir() if each.is_file()) == [], name
        with pytest.raises(OSError, match="Read-only"):
            (inside / "opt/file").write_text("")
        os.kill(process_one(process), signal.SIGTERM)
    assert [process.wait(40) for process in running.values()] == [0] * len(OURS)


def shown(url: str, **headers: str) -> str:
    """What the console, or a door, answers whoever comes with *headers*."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    asked = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(asked, timeout=5, context=trusting) as answer:
        return str(answer.read(), "utf-8")


def states(root: Path) -> dict[str, int]:
    """How many processes in there have ended and are not waited for."""
    found = [each.read_text().rpartition(")")[2].split()[0] for each in (root / "proc").glob("[0-9]*/stat")]
    return {"Z": found.count("Z")}


def test_a_process_that_is_only_starting_stops_as_well(pods: Pods) -> None:
    """Process 1 has no default for a signal that it does not handle: it would run on until it is killed."""
    for name in PROCESSES:
        process = pods.start(name, OF_THE_IMAGE)
        wait_until(partial(handles, process, signal.SIGTERM), 20, name)
        os.kill(process_one(process), signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM, process.tail


if "CONTAINER_ROOT" in os.environ:

    @pytest.mark.parametrize("who", [OF_THE_IMAGE, OF_OPENSHIFT])
    def test_a_whole_run_fits_into_one_container(tmp_path: Path, who: Identity) -> None:
        """Process 1 starts others there, waits for each, and ends with 0: every sample is as it should be."""
        process = start(Daemon(tmp_path, "run"), who, ["run", "--once", "--state-dir", "/tmp/var"], {}, {})  # noqa: S108
        assert process.wait(90) == 0, process.tail
