"""The operators' desk in a scenario: which calls are to die, what the ledger says of them, and replays."""

from collections.abc import Mapping, Sequence
from typing import Final

from servers import Daemon

from chaos.load import Unit
from chaos.scene import Scene
from worker.ledger import DeadLetterFilter, DeadLetterRow, DeadLetterState

REFUSED: Final = "http.4xx.unprocessable_content"  # of a call, not of its provider: given up at once, nothing is held
_ALL: Final = DeadLetterFilter(states=tuple(DeadLetterState))


def doom(scene: Scene, share: float) -> Sequence[Unit]:
    """Have the providers refuse that share of the load for good, until `scene.system.heal()`; returns it.

    None of it at Genesys: there a later user.disabled of the load supersedes what came before, and a replay refuses it.
    """
    others = [unit for unit in scene.load.units if unit.provider != "genesys"]
    doomed = scene.chance.sample(others, int(share * len(scene.load.units)))
    scene.system.script(*({"fault": "status", "status": 422, "match": unit.key} for unit in doomed))
    return doomed


def letters(scene: Scene) -> list[DeadLetterRow]:
    """Every dead letter, whatever became of it."""
    return scene.system.ledger.dead_letters(_ALL)


def replaying(scene: Scene, env: Mapping[str, str] | None = None) -> Daemon:
    """Begin to replay every dead letter, as an operator does."""
    command = ("revoker", "dlq", "replay", "--all", "--yes", "--reason", "the fault is over")
    return scene.system.processes.start(*command, env={**scene.system.env, **(env or {})}, name="replay")


def replay(scene: Scene, env: Mapping[str, str] | None = None, codes: Sequence[int] = (0,)) -> None:
    """Replay every dead letter; the command ends with one of *codes*."""
    process = replaying(scene, env=env)
    code = process.wait(120)
    assert code in codes, f"the replay ended with {code}: {process.tail}"


def resume(scene: Scene) -> None:
    """Have the last replay do what remains of it, as an operator does; nothing remains."""
    job = scene.system.ledger.jobs(1)[0]
    command = ("revoker", "dlq", "jobs", "resume", job.job_id, "--yes")
    process = scene.system.processes.start(*command, env=scene.system.env, name="resume")
    code = process.wait(120)
    assert code == 0, f"the resumed replay ended with {code}: {process.tail}"
