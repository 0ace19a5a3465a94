"""Whether what scales our processes looks at the right thing.

Calls of a provider that is held wait in the broker, and so do those of one whose rate limit is spent: more workers do
not serve them any sooner.
"""

from collections.abc import Iterator
from typing import Final

from worker.operations.doctor.workload import Fault, Scaler

HOLDS: Final = "revoker_breaker_state"  # the metric that tells which providers are held

_KNOW_HOLDS: Final = f"ask Prometheus, and leave out providers whose {HOLDS} is not 0 (deploy/kubernetes/autoscaling)"


def scaling_faults(scaler: Scaler) -> Iterator[Fault]:
    """What is wrong with *scaler*."""
    if scaler.fewest < 1:
        detail = "scales to 0: nobody is left to probe a held provider, or to see that it waits"
        yield Fault("failed", detail, "set minReplicaCount to 1 or more, and no idleReplicaCount")
    for kind, told in scaler.signals if scaler.target == "worker" else ():
        yield from _signal_faults(kind, told)


def _signal_faults(kind: str, told: str) -> Iterator[Fault]:
    if kind == "rabbitmq":
        seen = "every message, held ones as well" if told == "http" else "only what no worker has prefetched"
        yield Fault("failed", f"the rabbitmq trigger sees {seen}", _KNOW_HOLDS)
    elif kind in {"cpu", "memory"}:
        yield Fault("warning", f"looks at {kind}: a worker that waits for a provider uses none", _KNOW_HOLDS)
    elif kind == "prometheus" and HOLDS not in told:
        yield Fault("warning", f"the query leaves {HOLDS} out: calls behind a hold start workers", _KNOW_HOLDS)
