"""The limit of a minute at full size: `python tests/chaos/rate_limit.py [seconds]` prints what the provider saw.

Three workers, 300 calls a minute, a routine backlog, urgent calls now and then: on RabbitMQ and the embedded broker at
the same time, for 150 seconds. Windows are judged from every single arrival on, by the sandbox's own journal.
"""

import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from limited_system import Limited
from servers import Processes, RabbitNode
from system import System

from tasks.call import Lane

CALLS, MINUTE, WORKERS = 300, 60.0, 3
BACKLOG = 2000


@contextmanager
def stage(home: Path, broker_url: str) -> Iterator[Limited]:
    """A limited system on *broker_url*, its workers busy."""
    (home / "processes").mkdir(parents=True)
    processes = Processes(home / "processes")
    try:
        limited = Limited(System(home / "system", broker_url, processes), CALLS)
        limited.publish(BACKLOG)
        limited.start(WORKERS)
        yield limited
        limited.system.close()
    finally:
        processes.close()


def tell(name: str, limited: Limited, seconds: float) -> None:
    """Print what the provider saw."""
    seen = limited.arrivals()
    share = sum(at < seen[0] + seconds for at in seen) / (seconds * CALLS / MINUTE)
    whole = [at for at in seen if at < seen[0] + seconds - MINUTE]
    least = min(bisect_left(seen, at + MINUTE) - i for i, at in enumerate(whole))
    print(
        f"{name:9} calls {len(seen)}, in any {MINUTE:g} s at most {limited.worst()} and at least {least} of {CALLS}, "
        f"over {seconds:g} s {share:.1%} of the limit"
    )


def main(seconds: float) -> None:
    """Measure both brokers side by side."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        node = RabbitNode(home / "rabbitmq")
        node.start()
        stack.callback(node.close)
        urls = {"rabbitmq": node.url(), "embedded": f"embedded:///{home / 'broker.sqlite3'}"}
        stages = {name: stack.enter_context(stage(home / name / "stage", url)) for name, url in urls.items()}
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(10)
            for limited in stages.values():
                limited.publish(2, Lane.URGENT)
        for name, limited in stages.items():
            tell(name, limited, seconds - 5)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 150.0)
