"""Every row of the fault matrix in its small form, on each broker it applies to: 200 events, nothing lost."""

from pathlib import Path

import pytest
from servers import ForkServer

from chaos.rows import Row, all_rows
from chaos.running import SEED, run_row

EVENTS = 200
FAST = [
    pytest.param(row, broker, id=f"{row.name}-{broker}")
    for row in all_rows()
    for broker in row.brokers
    if broker in row.fast
]


@pytest.mark.parametrize(("row", "broker"), FAST)
def test_nothing_is_lost(row: Row, broker: str, tmp_path: Path, fork_server: ForkServer) -> None:
    """The oracle finds nothing, every process lives, no secret is in any byte; what is wrong is named with its logs."""
    result = run_row(row, broker, EVENTS, SEED, tmp_path / "row", fork_server=fork_server)
    assert result.passed, "\n".join([f"{row.name} on {broker}: logs in {result.logs}, seed {SEED}", *result.faults])
