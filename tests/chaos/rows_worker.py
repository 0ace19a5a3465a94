"""W: what happens to the worker, the intake and the recorder themselves."""

from typing import Final

from chaos.rows import row
from chaos.scene import Scene

IN_FLIGHT: Final = 3 * 10 + 5  # calls one worker may hold: three providers' routine lanes and one urgent lane
DEAD_TOKEN: Final = "a second call finds a dead token: already_revoked; one line of the ledger tells of both"


@row("W1", duplicates=IN_FLIGHT, harmless=DEAD_TOKEN)
def kill9_with_calls_in_flight(scene: Scene) -> None:
    """Kill -9 the worker with calls in flight."""
    scene.start()
    scene.publish()
    scene.wait_revoked(0.2)
    scene.kill9("worker")
    scene.start("worker")


@row("W4")
def sigterm_with_calls_in_flight(scene: Scene) -> None:
    """SIGTERM the worker with calls in flight: exit 0 within the grace, no call repeated."""
    scene.start()
    scene.publish()
    scene.wait_revoked(0.2)
    assert scene.stop("worker") == 0
    scene.start("worker")
