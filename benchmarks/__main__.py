"""`python -m benchmarks`: measure everything, print the tables, write the files. `make bench` prepares it.

`python -m benchmarks compare A.json B.json` compares two runs.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine, report
from benchmarks.comparing import compare
from benchmarks.others import OtherWork
from benchmarks.plan import COMPLETE, QUICK
from benchmarks.publishing import publish
from benchmarks.results import Result
from benchmarks.running import PARTS, Run
from benchmarks.stage import HOME, open_stage
from benchmarks.targets import targets


def main() -> None:
    """Measure, print, write."""
    if sys.argv[1:2] == ["compare"]:
        print(compare(sys.argv[2:]))  # noqa: T201 - the table is what the command is for
        return
    options = _options()
    plan = QUICK if options.quick else COMPLETE
    started = time.monotonic()
    load = machine.wait_for_quiet(plan.patience if options.patience is None else options.patience)
    with open_stage() as stage:
        found = machine.describe(stage.rabbitmq, load, quick=options.quick)
        others = OtherWork([stage.rabbitmq.pid, stage.provider.pid])
        run = Run(stage, plan, re.compile(options.rows))
        results = run.measure(options.parts)
        found["others_percent"] = round(others.percent())
        found["minutes"] = round((time.monotonic() - started) / 60)
        found["provider_us_per_request"] = run.provider_us_per_request
    text = report.text(results, targets(results), found, run.configurations)
    print(text)  # noqa: T201 - the table is what the command is for
    publish(options.out, results, text, found)
    sys.exit("\n".join([*run.failures, *_losses(results)]) or 0)


def _losses(results: Sequence[Result]) -> list[str]:
    """A row that lost a call is no measurement: the command fails."""
    return [f"{each.row} ({each.broker}) lost {each.lost} calls" for each in results if each.lost]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of everything, in under five minutes")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="only these parts")
    parser.add_argument("--rows", default="", help="regular expression: only these rows of the throughput part")
    parser.add_argument("--out", type=Path, default=HOME, help="folder for results.json, results.md and the plots")
    parser.add_argument("--patience", type=float, help="seconds to wait for a quiet machine at most")
    return parser.parse_args()


if __name__ == "__main__":
    main()
