"""B on the embedded broker: what a file does that is locked, away or full, and what leases do when they lapse.

Not here, for it has none of what they break: a process to end (B1, B2), a line to cut (B4, B5), a limit of a queue's
length (B9, D1), a password, virtual host or certificate (B11), tables in AMQP (M1 unreadable).
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from locked_file import locked
from servers import Daemon, wait_until

from chaos.disk import DISK, SmallDisk
from chaos.rows import EMBEDDED, row
from chaos.rows_broker import AGAIN
from chaos.rows_worker import DEAD_TOKEN, IN_FLIGHT
from chaos.scene import AFTER_THAW, Scene, wait_said

ON_EMBEDDED: Final = (EMBEDDED,)
UNREACHABLE: Final = "broker.unreachable"
# Who has nothing to do only reads, and notices no more than that it could not keep a lease.
SAID: Final = (UNREACHABLE, "embedded.leases_not_renewed", "embedded.leases_left_to_lapse")


@row("B3", brokers=ON_EMBEDDED, fast=(), duplicates=AGAIN, harmless=DEAD_TOKEN, within=30.0)
def filelocked(scene: Scene) -> None:
    """The broker's file is locked by somebody for 60 s under load: each process says so once, and goes on."""
    running = scene.start()
    with scene.publishing(over=3):
        scene.wait_revoked(0.2)
        with locked(scene.broker.files):
            scene.stand_still(60)
        scene.healed()
    wait_said(scene["worker"], UNREACHABLE)
    _said_at_most_once(running)
    assert scene.longest_try <= 15


@row("B6", brokers=ON_EMBEDDED, fast=(), within=30.0)
def file_locked_at_the_start(scene: Scene) -> None:
    """The broker's file is locked when the processes start: they wait, say so, and begin when it is free."""
    with locked(scene.broker.files):
        running = scene.start()
        for process in running:
            wait_said(process, UNREACHABLE)
    _said_at_most_once(running)
    scene.healed()
    scene.publish()


@row("B7", brokers=ON_EMBEDDED, fast=(), small_disk="broker", duplicates=AGAIN, harmless=DEAD_TOKEN, within=30.0)
def broker_disk_full(scene: Scene) -> None:
    """The broker's disk is full for 20 s under load: publishers fail within 15 s, each process waits and says so."""
    disk = SmallDisk(scene.system.home.parent / DISK)
    running = scene.start()
    scene.publish(len(scene.load.events) // 2)
    scene.wait_revoked(0.2)
    disk.fill()
    _make_log_short(scene.broker.files)
    disk.fill()
    with scene.publishing():
        scene.stand_still(20)
        assert scene.unknown, "the publisher did not notice"
        disk.empty()
        scene.healed()
    wait_said(scene["worker"], UNREACHABLE)
    _said_at_most_once(running)
    assert scene.longest_try <= 15


@row("B10", brokers=ON_EMBEDDED, fast=(), duplicates=2 * IN_FLIGHT, harmless=DEAD_TOKEN, within=30.0)
def leases_lapse(scene: Scene) -> None:
    """One of two workers stands still for longer than its leases, and goes on: what it held was given to the other.

    So each call may be made by the other, and once more by itself: it finds that the first has timed out meanwhile.
    """
    scene.start("worker", "worker", "intake", "recorder")
    scene.publish(len(scene.load.events) * 9 // 10)  # the rest comes after the heal
    scene.wait_revoked(0.2)
    scene["worker"].freeze()
    scene.stand_still(20)
    scene["worker"].thaw()
    scene.healed()
    scene.stand_still(AFTER_THAW)


def _make_log_short(path: Path) -> None:
    """Have SQLite need room for the next byte: else it writes into what its log had before."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as other:
        wait_until(lambda: other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, 10, "a short log")


def _said_at_most_once(running: Sequence[Daemon]) -> None:
    for process in running:
        for said in SAID:
            assert process.output.count(said) <= 1, f"{process.name} says {said} again and again"
