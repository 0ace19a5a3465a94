"""The doctor's own rules: a closed list of checks, each by itself, and a verdict for each thing it may see."""

import ast
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from in_one_test import in_one_test

from worker.broker.parts import Look, Part
from worker.broker.rights import Rights, needed_by
from worker.operations.doctor import CHECKS, Finding, examination, is_healthy, topology
from worker.operations.doctor.certificates import validity
from worker.operations.doctor.clocks import skew_finding
from worker.operations.doctor.files import NO_ROOM, room_finding
from worker.operations.doctor.rabbitmq import rights_finding, version_finding

PACKAGE = Path(examination.__file__).parent
DEFINITIONS = Path(__file__).parents[2] / "docker" / "rabbitmq-definitions.json"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def verdict(finding: Finding) -> tuple[str, str]:
    """The check and the state."""
    return finding.check, finding.state


def test_every_check_that_is_made_is_listed_and_every_listed_one_is_made() -> None:
    """What an operator meets stands in the table, and the table promises nothing."""
    trees = [ast.parse(path.read_text()) for path in PACKAGE.glob("*.py") if path.name != "findings.py"]
    texts = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    families = "|".join({name.partition(".")[0] for name in CHECKS})
    made = {text for text in texts if isinstance(text, str) and re.fullmatch(rf"({families})\.[a-z_]+", text)}
    parts = {f"broker.{kind}s" for kind in ("exchange", "queue", "binding")}
    assert made | parts | {"settings", "sources"} == set(CHECKS)
    assert [name for name, check in CHECKS.items() if not (check.meaning and check.remedy)] == []


def test_a_finding_that_is_not_ok_says_what_to_do() -> None:
    """Its own words, else those of the list."""
    assert Finding("disk.room", "failed", "full").advice == CHECKS["disk.room"].remedy
    assert Finding("disk.room", "failed", "full", "buy one").advice == "buy one"
    assert Finding("disk.room", "ok", "room").advice == ""


@in_one_test
@pytest.mark.parametrize(
    ("states", "healthy", "strictly"),
    [
        (["ok"], True, True),
        (["ok", "warning"], True, False),
        (["ok", "failed"], False, False),
        (["ok", "unknown"], False, False),
    ],
)
def test_a_warning_fails_only_where_that_is_asked_for(states: list[Any], *, healthy: bool, strictly: bool) -> None:
    """What is not known is not healthy."""
    found = [Finding("settings", state, "") for state in states]
    assert (is_healthy(found), is_healthy(found, strict=True)) == (healthy, strictly)


def test_a_check_that_breaks_off_or_hangs_is_unknown_and_the_others_go_on() -> None:
    """In bounded time, and what it had found before stays."""
    never = threading.Event()

    def breaks() -> Iterator[Finding]:
        yield Finding("ledger.connection", "ok", "reached")
        raise ValueError("planted-secret")

    def hangs() -> Iterator[Finding]:
        yield Finding("provider.dns", "ok", "resolves")
        never.wait(60)

    checks: list[tuple[str, str, examination.Examiner]] = [
        ("ledger.connection", "", breaks),
        ("provider.connection", "genesys", hangs),
        ("disk.room", "", lambda: [Finding("disk.room", "ok", "much")]),
    ]
    started = time.monotonic()
    found = list(examination.run(checks, timeout=0.2))
    never.set()
    assert time.monotonic() - started < 5
    assert [verdict(each) for each in found] == [
        ("ledger.connection", "ok"),
        ("ledger.connection", "unknown"),
        ("provider.dns", "ok"),
        ("provider.connection", "unknown"),
        ("disk.room", "ok"),
    ]
    assert "planted-secret" not in repr(found)
    assert found[3].about == "genesys"


@in_one_test
@pytest.mark.parametrize(
    ("release", "state"),
    [
        *((release, "ok") for release in ("3.10.8", "3.13.7", "4.0.5", "4.3.0")),
        *((release, "failed") for release in ("3.9.29", "", "unknown")),
        ("4.4.0", "warning"),
    ],
)
def test_a_broker_is_known_by_its_version(release: str, state: str) -> None:
    """Before 3.10 quorum queues lose dead letters; after 4.3 nobody has looked."""
    assert verdict(version_finding(release)) == ("broker.version", state)


@in_one_test
@pytest.mark.parametrize(
    ("theirs", "state"),
    [(0, "ok"), (-29, "ok"), (32, "warning"), (-299, "warning"), (302, "failed"), (-302, "failed")],
)
def test_a_clock_is_forgiven_what_the_asking_took(theirs: int, state: str) -> None:
    """And the part of a second that a `Date` leaves out; not more than five minutes."""
    asked = (NOW, NOW + timedelta(seconds=1))
    told = skew_finding("provider.clock", NOW + timedelta(seconds=theirs), asked, precision=1.0)
    assert told.state == state


@in_one_test
@pytest.mark.parametrize(("days", "state"), [(-1, "failed"), (5, "warning"), (60, "ok")])
def test_a_certificate_is_to_be_renewed_in_time(days: int, state: str) -> None:
    """Two weeks before its end somebody is told."""
    assert validity("provider.tls", datetime.now(UTC) + timedelta(days=days)).state == state


@pytest.mark.parametrize(
    ("free", "inodes", "state"),
    [(10 * 2**30, 100, "ok"), (2**29, 100, "warning"), (NO_ROOM - 1, 100, "failed"), (10 * 2**30, 0, "failed")],
)
def test_a_disk_is_full_before_its_last_byte(free: int, inodes: int, state: str) -> None:
    """And where no file can be made on it any more."""
    disk = os.statvfs_result((1, 1, free, free, free, 1000, inodes, inodes, 0, 255))
    assert room_finding("ledger.sqlite3", disk).state == state


ALL = Rights(["calls", "dead"], ["intake"])


@in_one_test
@pytest.mark.parametrize(
    ("intake", "recorder", "state", "told"),
    [
        (Rights([], []), Rights([], []), "ok", "job of intake, recorder"),
        (Rights([], []), Rights([], ["records"]), "ok", "job of intake"),
        (Rights(["calls"], []), Rights([], ["records"]), "failed", "for intake: write calls"),
        (Rights(["calls", "dead"], ["intake"]), Rights([], []), "ok", "job of recorder"),
        (Rights(["calls", "dead"], ["intake"]), Rights([], ["records"]), "failed", "for intake"),
    ],
)
def test_a_broker_user_is_the_process_whose_queues_it_may_read(
    intake: Rights, recorder: Rights, state: str, told: str
) -> None:
    """Of that one it must have all rights; who reads nothing is nobody of ours."""
    needs = {"intake": ALL, "recorder": Rights([], ["records"])}
    found = rights_finding("user", needs, {"intake": intake, "recorder": recorder})
    assert found.state == state
    assert told in found.detail


def test_the_rights_asked_for_are_those_that_are_shipped() -> None:
    """No process needs more than docker/rabbitmq-definitions.json gives it, and it is given nothing else."""
    shipped = {each["user"]: each for each in json.loads(DEFINITIONS.read_text())["permissions"]}
    needs = needed_by(["genesys"])
    written = {name for each in needs.values() for name in each.write}
    readable = {name for each in needs.values() for name in each.read}
    for process, need in needs.items():
        assert {name for name in written if re.search(shipped[process]["write"], name)} == set(need.write), process
        assert {name for name in readable if re.search(shipped[process]["read"], name)} == set(need.read), process


def queue(name: str, look: Look = Look.AS_DECLARED, **more: Any) -> Part:
    """A queue as it was found."""
    return Part("queue", name, look, **more)


@in_one_test
@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (queue("revocation.dead"), set()),
        (queue("revocation.intake", Look.MISSING), {("broker.queues", "failed")}),
        (queue("q", Look.DIFFERENT, argument="x-queue-type"), {("broker.arguments", "failed")}),
        (queue("q", Look.DIFFERENT, argument="x-overflow"), {("broker.dead_letters", "failed")}),
        (queue("q", Look.UNSEEN), {("broker.arguments", "warning")}),
        (queue("celery_delayed_3", Look.UNSEEN), set()),
        (queue("revocation.dead", waiting=2, consumers=0), {("ledger.lag", "warning")}),
        (queue("revocation.dead", waiting=2, consumers=1), set()),
        (queue("revocation.dead", waiting=2, oldest=90.0), {("ledger.lag", "warning")}),
        (queue("revocation.outcomes", waiting=topology.MUCH + 1, consumers=1), {("ledger.lag", "warning")}),
        (queue("revocation.intake", waiting=2, consumers=0), {("broker.consumers", "warning")}),
        (queue("revocation.intake", waiting=5000, consumers=1), set()),
        (queue("celery_delayed_3", waiting=5000, consumers=0), set()),
    ],
)
def test_a_part_of_the_topology_has_its_finding(part: Part, expected: set[tuple[str, str]]) -> None:
    """What is missing, different or late, each under its own name."""
    found = {verdict(each) for each in topology.of_parts([queue("revocation.door"), part]) if each.state != "ok"}
    assert found == expected
