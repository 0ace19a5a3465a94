"""What the figures were measured on: the machine, its load before the start, the versions of everything."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from servers import RabbitNode

from benchmarks.say import say
from benchmarks.stage import HOME, peers_python

IDLE: Final = 0.6  # load average below which nobody else works here
_OURS: Final = ("celery", "kombu", "amqp", "aiohttp", "pydantic", "SQLAlchemy")
_PEERS: Final = (
    *("aio-celery", "aio-pika", "aiohttp", "celery", "dramatiq", "faststream", "gevent", "requests"),
    *("taskiq", "taskiq-aio-pika", "uvloop"),
)
_ASK: Final = """\
import json, sys
from importlib.metadata import version
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


def wait_for_quiet(patience: float) -> float:
    """Wait until the machine is quiet, at most *patience* seconds; returns its load of the last minute then."""
    deadline = time.monotonic() + patience
    while (load := os.getloadavg()[0]) > IDLE and time.monotonic() < deadline:
        say(f"load {load:.2f}: waiting for a quiet machine")
        time.sleep(min(10.0, patience))
    return load


def describe(rabbitmq: RabbitNode, load: float, *, quick: bool) -> dict[str, Any]:
    """Everything a reader must know to judge the figures."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "load_at_start": round(load, 2),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "rabbitmq": rabbitmq.control("element(2, application:get_key(rabbit, vsn)).").strip('"'),
        "erlang": rabbitmq.control("erlang:system_info(otp_release).").strip('"'),
        "commit": _commit(),
        "ours": {name: version(name) for name in _OURS},
        "peers": _peers(),
    }


def processor() -> str:
    """What the processor calls itself."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _commit() -> str:
    command = ["git", "-C", str(HOME), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _peers() -> dict[str, str]:
    done = subprocess.run([peers_python(), "-c", _ASK, *_PEERS], capture_output=True, text=True, check=False)
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {}
