"""Containers without an engine: what the image says, in namespaces of its own, with a root that cannot be written to.

The root is put together of parts of the running system. With CONTAINER_ROOT in the environment it is a bare Debian,
into which `python -m containers FOLDER` has built what docker/Dockerfile builds (`make container`). Needs root.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from servers import Daemon

ROOT: Final = Path(__file__).parents[1]
DOCKERFILE: Final = ROOT / "docker" / "Dockerfile"
PACKAGES: Final = "ca-certificates,python3,python3-venv,python3-pip,python-is-python3"  # what the base image is, to us
BASE_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # that of the base image
SYSTEM: Final = ("usr", "bin", "sbin", "lib", "lib64")

# Arguments: an empty folder; SOURCE TARGET, both folders, for each part (SOURCE "tmpfs": empty, and to be written to);
# --; what chroot(1) is to start there.
_ENTER: Final = """
new=$1; shift
mount -t tmpfs -o mode=0755 tmpfs "$new"
while [ "$1" != -- ]; do
  mkdir -p "$new$2"
  if [ "$1" = tmpfs ]; then mount -t tmpfs -o mode=1777,size=64m tmpfs "$new$2"
  else mount --bind "$1" "$new$2"; mount -o remount,bind,ro "$new$2"; fi
  shift 2
done
shift
mkdir "$new/proc"; mount -t proc proc "$new/proc"
mount -o remount,ro "$new"
exec chroot "$new" "$@"
"""


@dataclass(frozen=True, slots=True)
class Instruction:
    """A line of the Dockerfile: FROM, RUN and so on, and what follows."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Image:
    """What the last stage of the Dockerfile says of a container, and how the stage before is built."""

    build: Sequence[Instruction]
    variables: Mapping[str, str]
    workdir: str
    user: str
    entrypoint: Sequence[str]
    health_check: Sequence[str]


def read_image(file: Path = DOCKERFILE) -> Image:
    """Read what docker/Dockerfile says."""
    instructions = list(_instructions(file.read_text()))
    stages = [number for number, each in enumerate(instructions) if each.name == "FROM"]
    last = {each.name: each.value for each in instructions[stages[-1] :]}
    variables = (pair.partition("=") for pair in shlex.split(last["ENV"]))
    return Image(
        instructions[stages[0] + 1 : stages[-1]],
        {name: value.replace("$PATH", BASE_PATH) for name, _, value in variables},
        last["WORKDIR"],
        last["USER"],
        json.loads(last["ENTRYPOINT"]),
        json.loads(last["HEALTHCHECK"].partition("CMD ")[2]),
    )


def _instructions(text: str) -> Iterator[Instruction]:
    for line in text.replace("\\\n", " ").splitlines():
        if line and not line.startswith("#"):
            yield Instruction(*line.split(maxsplit=1))


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a container runs as: a user and group without a name, and the group that may read its secrets."""

    user: int
    group: int
    files_group: int


def start(
    process: Daemon,
    identity: Identity,
    arguments: Sequence[str],
    variables: Mapping[str, str],
    mounts: Mapping[str, str],
) -> Daemon:
    """Start a container of ours as *process*; *mounts* are folders of ours by where it finds them, read-only."""
    image, root = read_image(), process.log.parent / f"{process.name}-root"
    root.mkdir()
    parts = {**_parts(), "/dev": "/dev", "/dev/shm": "tmpfs", "/etc": _etc(process.log.parent), **mounts}  # noqa: S108
    rights = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    who = [f"--reuid={identity.user}", f"--regid={identity.group}", f"--groups={identity.files_group}"]
    command = ["setpriv", *who, *rights, "env", "--chdir", image.workdir, *image.entrypoint, *arguments]
    places = [word for target, source in parts.items() for word in (source, target)]
    namespaces = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
    process.start(
        [*namespaces, "sh", "-euc", _ENTER, "enter", str(root), *places, "--", *command],
        {**image.variables, **variables},
    )
    return process


def _parts() -> dict[str, str]:
    """Where each part of the root comes from; /tmp is as the engine gives it, and may hide others."""
    if bare := os.environ.get("CONTAINER_ROOT"):
        return {f"/{name}": f"{bare}/{name}" for name in (*SYSTEM, "opt")} | {"/tmp": "tmpfs"}  # noqa: S108
    ours = {path: path for path in (str(ROOT), sys.base_prefix, sys.prefix) if not path.startswith("/usr")}
    return {f"/{name}": f"/{name}" for name in SYSTEM} | {"/tmp": "tmpfs"} | ours | {"/opt/revoker": sys.prefix}  # noqa: S108


def _etc(home: Path) -> str:
    """Return a copy of /etc in which others may be mounted."""
    copy = home / "etc"
    if not copy.exists():
        source = Path(os.environ.get("CONTAINER_ROOT", "/")) / "etc"
        subprocess.run(["cp", "-a", str(source), str(copy)], check=True)
        (copy / "revoker").mkdir()
    return str(copy)


def handles(process: Daemon, number: signal.Signals) -> bool:
    """Whether process 1 of the container has a handler for the signal *number* (proc(5), SigCgt)."""
    if not (one := process_one(process)):
        return False
    [caught] = re.findall(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{one}/status").read_text(), re.MULTILINE)
    return bool(int(caught, 16) >> (number - 1) & 1)


def process_one(process: Daemon) -> int:
    """The process that is number 1 in the container, by the number that it has out here; 0: there is none yet."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(children[0]) if children else 0


# -- the bare Debian ----------------------------------------------------------------------------------


def build(root: Path) -> None:
    """Make *root* a bare Debian, and build there what the first stage of the Dockerfile builds."""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        sys.exit("containers: this needs root and debootstrap (apt-get install debootstrap)")
    if not (root / "usr/bin/pip").exists():
        sites = _output("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
        _run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root), *sites.split()[:1])
    image, wheels = read_image(), root / "wheels"
    lock = next(word for each in image.build for word in each.value.split() if word.endswith(".lock"))
    _run(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "-r", lock, "-d", str(wheels))
    shutil.rmtree(root / "opt/revoker", ignore_errors=True)
    workdir = root
    for each in image.build:
        match each.name:
            case "WORKDIR":
                workdir = root / each.value.strip("/")
                workdir.mkdir(exist_ok=True)
            case "COPY":
                *sources, target = each.value.split()
                _copy(sources, workdir / target)
            case "RUN":
                _run_inside(root, workdir, each.value)
            case _:
                raise ValueError(f"{each.name} is no instruction that can be followed here")


def _copy(sources: Sequence[str], target: Path) -> None:
    for source in map(ROOT.joinpath, sources):
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.mkdir(exist_ok=True)
            shutil.copy(source, target)


def _run_inside(root: Path, workdir: Path, command: str) -> None:
    """Run a command there. The packages come from the folder of those that were downloaded out here."""
    variables = {"PATH": BASE_PATH, "HOME": "/root", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
    inside = ["chroot", str(root), "sh", "-euc", f"cd /{workdir.relative_to(root)} && {command}"]
    subprocess.run(inside, env=variables, check=True)


def _run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, check=False, text=True).stdout


if __name__ == "__main__":
    build(Path(sys.argv[1]).absolute())
