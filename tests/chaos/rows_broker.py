"""B: what happens to the broker, and to the lines that lead there."""

from chaos.rows import RABBITMQ, row
from chaos.rows_worker import DEAD_TOKEN, IN_FLIGHT
from chaos.scene import Scene


@row("B2", brokers=(RABBITMQ,), private=True, duplicates=IN_FLIGHT, harmless=DEAD_TOKEN, within=30.0)
def broker_killed(scene: Scene) -> None:
    """Kill -9 the broker under load, and start it again."""
    scene.start()
    with scene.publishing():
        scene.wait_revoked(0.2)
        scene.node.kill9()
        scene.node.start()
        scene.healed()
