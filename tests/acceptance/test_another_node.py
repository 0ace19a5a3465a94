"""A broker of several nodes, of which one is away: the processes use another one."""

from pathlib import Path

from servers import Processes, free_port
from system import System


def test_every_process_goes_to_the_next_node_of_the_url(
    tmp_path: Path, processes: Processes, rabbitmq_url: str
) -> None:
    """Operators name every node of a cluster; which of them lives nobody knows beforehand. `make chaos` kills one."""
    away = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    system = System(tmp_path / "system", rabbitmq_url, processes)
    for name in ("intake", "worker", "recorder"):
        env = {**system.env, "REVOKER_BROKER_URL": f"{away};{rabbitmq_url}"}
        processes.start("revoker", name, env=env, name=name)
    system.wait_closed(system.publish([system.ended(system.session("finbourne", "sbx-token"))]))
    assert len(system.revoked()) == 1
    system.close()
