"""What a message costs does not grow unnoticed: seconds vary with the machine, the count of function calls hardly."""

import json
from pathlib import Path

import call_cost
import pytest
from servers import Processes

TOLERANCE = 1.05  # times the recorded number; two counts of the same code differ by less than 0.01


@pytest.mark.executed
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", call_cost.QUEUES)
def test_a_message_costs_no_more_function_calls_than_recorded(name: str, tmp_path: Path, processes: Processes) -> None:
    """Something in the path of every message got dearer. Where it got cheaper, `make cost` records the gain."""
    recorded = json.loads(call_cost.RECORDED.read_text())[name]
    counted = call_cost.count(name, tmp_path, processes)
    assert call_cost.total(counted) < TOLERANCE * call_cost.total(recorded), "\n".join(
        f"{package}: {recorded.get(package, 0):.1f} recorded, {counted.get(package, 0):.1f} counted"
        for package in sorted({*recorded, *counted})
        if abs(recorded.get(package, 0) - counted.get(package, 0)) > 1
    )
