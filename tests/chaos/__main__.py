"""`make chaos`: every row at full size, the table on stdout, `results.json` and `results.md` beside this file."""

import argparse
import re
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from servers.shared import close_root, open_root

from chaos import report
from chaos.rows import BROKERS, Row, all_rows
from chaos.running import SEED, Result, run_row

ALL = ".*"


def main() -> None:
    """Run the rows, print the table, write the list; the exit code says whether all have passed."""
    options = _options()
    wanted = re.compile(options.rows)
    home = Path(tempfile.mkdtemp(prefix="revoker-chaos-"))
    home.chmod(0o711)  # the user postgres passes through
    rows = [(row, broker) for row in all_rows() for broker in row.brokers if broker in options.brokers]
    rows = [(row, broker) for row, broker in rows if any(map(wanted.fullmatch, {row.name, row.name.partition(" ")[0]}))]
    if not rows:
        sys.exit(_usage(f"no row is called {options.rows}"))
    _say(f"seed {options.seed}, {len(rows)} rows")
    results = list[Result]()
    open_root()
    try:
        with ThreadPoolExecutor(options.at_once) as pool:
            for result in pool.map(lambda each: _run(each[0], each[1], options, home), rows):
                results.append(result)  # and written at once: a run that is stopped has not run for nothing
                report.write(report.merge(results, options.out, keep=options.rows != ALL), options.out)
    finally:
        close_root()
    print(report.table([report.as_json(result) for result in results]))
    sys.exit(not all(result.passed for result in results))


def _run(row: Row, broker: str, options: argparse.Namespace, home: Path) -> Result:
    events = options.events or row.full
    result = run_row(row, broker, events, options.seed, home / f"{row.name}-{broker}".replace(" ", "-"))
    name = f"{row.name:6} {broker:9}"
    if result.passed:
        shutil.rmtree(result.logs)
        _say(f"{name} passed in {result.wall:.0f} s: {row.about} {result.remark}".rstrip())
    else:
        _say("\n".join([f"{name} FAILED after {result.wall:.0f} s, logs in {result.logs}", *result.faults[:20]]))
    return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=main.__doc__)
    parser.add_argument("--rows", default=ALL, help="regular expression: only rows of these names, e.g. 'W1|B.*'")
    parser.add_argument("--brokers", nargs="+", choices=BROKERS, default=BROKERS)
    parser.add_argument("--events", type=int, help="of every row; its own full size by default")
    parser.add_argument("--at-once", type=int, default=1, help="rows that run side by side")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results.json"))
    return parser.parse_args()


def _usage(fault: str) -> int:
    _say(fault)
    return 2


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
