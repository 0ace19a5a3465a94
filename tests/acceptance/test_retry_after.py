"""Retry-After, with a real worker: nobody comes earlier than asked, nobody waits for ever, nobody asks without end."""

import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from email.utils import formatdate
from pathlib import Path

import pytest
from servers import Processes, wait_until
from system import System, digest

CAP = 4.0


@pytest.fixture
def system(broker_url: str, tmp_path: Path, processes: Processes) -> Iterator[System]:
    """On each broker in turn; a provider that asks for more is asked again after four seconds."""
    retry = {"base": 1, "cap": 1, "retry_after_cap": CAP, "max_attempts": 12}
    made = System(tmp_path / "system", broker_url, processes, retry=retry)
    yield made
    made.close()


def arrivals(system: System) -> dict[str, list[float]]:
    """Key of a token → when the provider saw calls with it, in seconds."""
    seen = defaultdict(list)
    for entry in system.journal():
        seen[entry["key"]].append(datetime.fromisoformat(entry["at"]).timestamp())
    return seen


def test_every_form_is_a_floor_and_none_is_a_busy_loop(system: System) -> None:
    """Seconds, decimals, a date; a past date, negatives and junk are no reason to come back within a second."""
    system.start()
    forms = {
        "seconds": ("3", 3.0),
        "decimals": ("2.5", 2.5),
        "date": (formatdate(time.time() + 4, usegmt=True), 0.9),  # whole seconds, reckoned from the answer's own date
        "past": (formatdate(time.time() - 3600, usegmt=True), 0.9),
        "negative": ("-5", 0.9),
        "endless": ("1000000000", CAP),
        "junk": ("soon; \t1e9", 0.9),
    }
    for name, (asked, _) in forms.items():
        fault = {"fault": "status", "status": 429, "retry_after": asked, "match": f"sbx-{name}", "times": 1}
        system.script(fault)
    ids = system.publish([system.ended(system.session("finbourne", f"sbx-{name}")) for name in forms])
    system.wait_closed(ids, 30)
    for name, (_, floor) in forms.items():
        first, second = arrivals(system)[digest(f"sbx-{name}")]
        assert second - first >= floor, name


def test_one_answer_pauses_the_whole_provider(system: System) -> None:
    """Told to wait three seconds, the worker sends nobody's call to that provider meanwhile; the others' go on."""
    system.start()
    system.script({"fault": "status", "status": 429, "retry_after": "3", "provider": "wibmo", "times": 1})
    first = system.publish([system.ended(system.session("wibmo", "sbx-first"))])
    wait_until(lambda: arrivals(system), 20, "the provider to say so")
    rest = [system.ended(system.session("wibmo", f"sbx-{n}")) for n in range(20)]
    others = system.publish([system.ended(system.session("finbourne", f"sbx-{n}")) for n in range(5)])
    ids = system.publish(rest)
    system.wait_closed(others, 2.5)
    system.wait_closed([*first, *ids], 30)
    wibmo = sorted(at for at in arrivals_at(system, "wibmo"))
    assert wibmo[1] - wibmo[0] >= 3.0
    assert len(wibmo) == 22


def arrivals_at(system: System, provider: str) -> list[float]:
    """When *provider* saw a call."""
    return [datetime.fromisoformat(each["at"]).timestamp() for each in system.journal() if each["provider"] == provider]
