"""A storm of changes in slapd, and a process that is killed in it again and again: nothing is lost."""

import json
import random
import threading
import time
from collections import Counter
from pathlib import Path

from directory_installation import Followed, directory
from servers import Processes, wait_until
from servers.slapd import Slapd
from sqlalchemy import func, select

from worker import broker
from worker.broker import topology
from worker.database.tables import directory_people, outbox

PEOPLE = 10_000
PACE = 250  # changes a second


def test_no_change_of_ten_thousand_is_lost_though_the_process_is_killed(tmp_path: Path, processes: Processes) -> None:
    """Everybody is locked, one after the other; each is one event, whatever was cut off in the middle."""
    slapd = Slapd(tmp_path / "slapd").start()
    slapd.found()
    unit = slapd.unit("people")
    people = [slapd.person(unit, f"user{number}") for number in range(PEOPLE)]
    slapd.person(unit, "stays")  # else the last refresh may be one after which nobody is left: an operator's to decide
    door = directory(tmp_path, slapd.url, unit, largest_change=1_000_000)
    followed = Followed(tmp_path, processes, door)
    url = followed.system.broker_url
    with broker.connect(url) as connection:
        topology.declare(connection, followed.system.providers)
    process, kills = followed.follow(PEOPLE + 1), 0
    pause = random.Random(1)  # noqa: S311 - no secret
    locking = threading.Thread(target=_lock, args=(slapd, people))
    locking.start()
    while locking.is_alive():
        time.sleep(pause.uniform(0.5, 3))
        process.kill9()
        process, kills = followed.follow(PEOPLE + 1), kills + 1
    locking.join()
    wait_until(lambda: _waiting(followed) == (0, 0), 300, "everybody to be locked here, too, and told")
    process.kill9()
    seen = _taken(url)
    slapd.kill9()
    followed.system.close()
    print(f"lost {PEOPLE - len(seen)} of {PEOPLE}, doubled {seen.total() - len(seen)}, killed {kills} times")
    assert len(seen) == PEOPLE


def _lock(slapd: Slapd, people: list[str]) -> None:
    for number, dn in enumerate(people):
        slapd.lock(dn)
        if number % PACE == 0:
            time.sleep(1 - PACE * 0.001)


def _waiting(followed: Followed) -> tuple[int, int]:
    """How many people are still active here, but for the one who stays, and how many events are in the outbox."""
    with followed.system.ledger.database.reading() as connection:
        active = select(func.count()).select_from(directory_people).where(directory_people.c.active)
        left = connection.execute(active).scalar_one() - 1
        return left, connection.execute(select(func.count()).select_from(outbox)).scalar_one()


def _taken(url: str) -> Counter[str]:
    """How often each event waits in the intake's queue, by its id."""
    with broker.connect(url) as connection:
        channel = connection.channel()
        taken = iter(lambda: channel.basic_get(topology.INTAKE_URGENT.name, no_ack=True), None)
        return Counter(json.loads(each.body)["id"] for each in taken)
