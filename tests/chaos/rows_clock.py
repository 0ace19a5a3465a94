"""C: what the clocks say, ours and the producers'."""

import json
from datetime import UTC, datetime, timedelta
from typing import Final

from servers import wait_until

from chaos.clock import Clock
from chaos.desk import letters, replay
from chaos.rows import row
from chaos.scene import Scene
from worker.broker import messages

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
SLOW: Final = 300.0  # seconds: where a clock jumps, what a rate limit has given counts as given just now
AHEAD: Final = "event.invalid_time"  # of an event that comes from more than five minutes ahead


@row("C1", patience=SLOW, fast=())
def clocks_jump_ahead(scene: Scene) -> None:
    """Our clocks jump an hour and a day ahead under load, with retries under way, and back: nothing expires.

    Only what fails while they are a day ahead is given up, as if it had failed, or been held, for a day; a replay takes
    it.
    """
    flaky = scene.chance.sample(scene.load.units, len(scene.load.units) // 4)
    scene.system.script(*({"fault": "status", "match": unit.key, "times": 1} for unit in flaky))
    clock = Clock(scene.system.home)
    scene.start(env=clock.env)
    for share, seconds in ((0.1, HOUR), (0.3, DAY), (0.5, 0)):
        scene.publish(len(scene.load.events) // 4)
        scene.wait_revoked(share)
        clock.jump(seconds)
    scene.drain()
    assert {letter.reason for letter in letters(scene)} <= {"http.5xx", "budget.exhausted"}
    replay(scene)


@row("C1 behind", fast=(), patience=SLOW, strange_reasons=frozenset({AHEAD}))
def clocks_jump_back(scene: Scene) -> None:
    """Our clocks jump an hour and a day back: what is under way goes on, what comes seems to be from the future.

    Such events are dead letters; a replay after the clocks were set right takes every one of them.
    """
    clock = Clock(scene.system.home)
    scene.start(env=clock.env)
    for seconds in (0, -HOUR, -DAY):
        clock.jump(seconds)
        scene.publish(len(scene.load.events) // 4)
        wait_until(lambda: not any(scene.queues().values()), scene.row.patience, "the queues to be empty")
    assert {letter.reason for letter in letters(scene)} == {AHEAD}
    clock.jump(0)
    scene.healed()
    replay(scene)


@row("C1 producer", fast=(), strange_reasons=frozenset({AHEAD}))
def a_producer_is_ahead(scene: Scene) -> None:
    """A producer's clock is an hour ahead: its events are refused with a reason that says so, the others go on."""
    scene.start()
    scene.publish(len(scene.load.events) // 2)
    moment = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    early = [{**scene.system.ended(scene.system.session("wibmo", f"sbx-{n}")), "time": moment} for n in range(20)]
    scene.publish_strange([messages.event(json.dumps(each).encode(), each["type"]) for each in early])
