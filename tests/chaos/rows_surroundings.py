"""S: what is around: the ledger, Sentry, the files of secrets."""

import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from locked_file import locked
from sentry_inbox import SentryInbox
from servers import free_port
from system import PROCESSES, SUBJECT_KEY

from chaos.disk import DISK, SmallDisk
from chaos.proxy import Fault
from chaos.rows import row
from chaos.rows_message import STRANGE
from chaos.scene import Scene, wait_said
from worker.broker import topology
from worker.broker.publication import Message

LINES: Final = ("recorder-ledger", "worker-ledger")
ADDED: Final = 0.1  # seconds that a Sentry out of order may add
PAUSE: Final = 0.4  # seconds after 20 events: what is then measured is the way, not the queue


@row("S1", fast=(), links=LINES)
def ledger_down(scene: Scene) -> None:
    """PostgreSQL is away under load: revocations go on, outcomes wait in the broker, all is caught up."""
    scene.start()
    scene.publish(len(scene.load.events) // 2)
    scene.wait_revoked(0.1)
    for line in LINES:
        scene.lines[line].break_with(Fault(refuse=True))
        scene.lines[line].reset()
    _goes_on(scene)
    for line in LINES:
        scene.lines[line].heal()
    scene.healed()


@row("S1 locked", fast=())
def ledgerlocked(scene: Scene) -> None:
    """Somebody else has locked the SQLite file: likewise."""
    scene.start()
    scene.publish(len(scene.load.events) // 2)
    scene.wait_revoked(0.1)
    with locked(scene.system.home / "ledger.sqlite3"):
        _goes_on(scene)
    scene.healed()


@row("S1 full", fast=(), small_disk="ledger")
def ledger_disk_full(scene: Scene) -> None:
    """The ledger's disk is full: likewise."""
    disk = SmallDisk(scene.system.home.parent / DISK)
    scene.start()
    scene.publish(len(scene.load.events) // 2)
    scene.wait_revoked(0.1)
    disk.fill()
    _goes_on(scene)
    disk.empty()
    scene.healed()


@row("S2", fast=(), strange_reasons=STRANGE)
def sentry_slow(scene: Scene) -> None:
    """Sentry takes reports and never answers: less than 100 ms are added, with fifty errors to report."""
    inbox = SentryInbox(stalls=True)
    try:
        _without_and_with(scene, inbox.dsn)
        assert inbox.envelopes, "nothing was reported, so the row shows nothing"
    finally:
        inbox.close()


@row("S2 down", fast=(), strange_reasons=STRANGE)
def sentry_down(scene: Scene) -> None:
    """Nobody listens where Sentry should be: likewise."""
    _without_and_with(scene, f"http://public@127.0.0.1:{free_port()}/1")


@row("S3", fast=())
def secret_files_unfit(scene: Scene) -> None:
    """A secret's file is missing, empty or open to all: no process starts, each names the setting and no value."""
    folder = scene.system.home / "secrets"
    folder.mkdir(mode=0o700)
    env = {"REVOKER_CONFIG_FILE": str(_without_the_secret(scene)), "REVOKER_SECRETS_DIR": str(folder)}
    secret = folder / "subject_key"
    _refuses(scene, env)
    secret.touch(mode=0o600)
    _refuses(scene, env)
    secret.write_text(SUBJECT_KEY)
    secret.chmod(0o644)
    _refuses(scene, env)
    secret.chmod(0o600)
    scene.start(env=env)
    scene.publish()
    scene.drain()
    secret.unlink()  # no file may hold it in the end


def _goes_on(scene: Scene) -> None:
    """All the rest is revoked while the recorder can write nothing, and it says so once."""
    scene.publish()
    scene.wait_revoked(1.0)
    wait_said(scene["recorder"], "ledger.unavailable")
    assert scene["recorder"].output.count("ledger.unavailable") == 1


def _without_and_with(scene: Scene, dsn: str) -> None:
    without = _median_way(scene, {})
    for name in PROCESSES:
        assert scene.stop(name) == 0
    faulty = [
        Message(topology.CALLS.name, "finbourne.routine", b"\xff%d" % n, headers={"task": "finbourne.invalidate_token"})
        for n in range(50)
    ]
    scene.publish_strange(faulty)
    added = _median_way(scene, {"REVOKER_SENTRY_DSN": dsn}) - without
    assert added < ADDED, f"{added:.3f} s were added to {without:.3f} s"


def _median_way(scene: Scene, env: Mapping[str, str]) -> float:
    """Seconds from the publish of an event to its revocation, of half the load."""
    for process in scene.start(env=env):
        wait_said(process, "ready")
    scene.healed()
    done = scene.revoked()
    scene.publish(len(scene.load.events) // 2, pause=PAUSE)
    scene.wait_quiet(2.0)
    assert scene.revoked() > done
    return statistics.median(scene.recoveries())


def _without_the_secret(scene: Scene) -> Path:
    whole = Path(scene.system.env["REVOKER_CONFIG_FILE"])
    lines = whole.read_text().splitlines(keepends=True)
    part = whole.with_name("part-revoker.toml")
    part.touch(mode=0o600)
    part.write_text("".join(line for line in lines if not line.startswith("subject_key")))
    return part


def _refuses(scene: Scene, env: Mapping[str, str]) -> None:
    began = time.monotonic()
    for name in PROCESSES:
        process = scene.system.processes.start("revoker", name, env={**scene.system.env, **env}, name=name)
        assert process.wait(30) not in (0, -9), f"{name} ended as if all were well"
        assert "subject_key" in process.output, f"{name} does not name the setting: {process.output}"
        assert SUBJECT_KEY not in process.output
        assert "Traceback" not in process.output
    assert time.monotonic() - began < 60
