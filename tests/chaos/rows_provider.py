"""P: what happens at the providers, and on the way there."""

from typing import Any

from chaos.rows import row
from chaos.rows_worker import DEAD_TOKEN
from chaos.scene import Scene


@row("P4", duplicates=lambda events: events // 20, harmless=DEAD_TOKEN)
def server_errors_and_lost_answers(scene: Scene) -> None:
    """500, 502, 503, 504 and resets, one to three times for every other token; and answers lost on the way."""
    kinds: list[dict[str, Any]] = [
        *({"fault": "status", "status": status} for status in (500, 502, 503, 504)),
        {"fault": "reset"},
    ]
    units = scene.chance.sample(scene.load.units, len(scene.load.units))
    lost, broken = units[: len(scene.load.events) // 20], units[len(units) // 2 :]
    scene.system.script(
        *({"fault": "reset_after", "match": unit.key, "times": 1} for unit in lost),
        *({**scene.chance.choice(kinds), "match": unit.key, "times": scene.chance.randint(1, 3)} for unit in broken),
    )
    scene.start()
    scene.publish()
