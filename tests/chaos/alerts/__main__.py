"""`make alerts`: the row of each alert anew, and what the processes told meanwhile into `recordings/`."""

import argparse
import re
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from servers import free_port
from servers.shared import close_root, open_root
from system import PROCESSES

from chaos.alerts.faults import rows
from chaos.alerts.recording import FOLDER, Recording, series_from
from chaos.alerts.rules import alerts, metrics_read, read_rules
from chaos.alerts.scraping import Scraper
from chaos.alerts.trial import run, trial_of, tried
from chaos.rows import RABBITMQ, Row
from chaos.running import SEED, run_row
from chaos.scene import Scene

# In seconds: half a minute and a minute of the rules' clock.
QUICK: Final = {"REVOKER_MONITORING__SNAPSHOT_INTERVAL": "0.5", "REVOKER_EXPOSURE__WITHIN": "1"}


def main() -> None:
    """Run the rows, keep the recordings, say what promtool finds in them; the exit code says whether all is well."""
    parser = argparse.ArgumentParser(prog="python -m chaos.alerts", description=main.__doc__)
    parser.add_argument("--alerts", default=".*", help="regular expression: only those of these names, e.g. '.*Held'")
    parser.add_argument("--at-once", type=int, default=1, help="rows that run side by side")
    options = parser.parse_args()
    wanted = {alert: row for alert, row in rows().items() if re.fullmatch(options.alerts, alert or "none")}
    home = Path(tempfile.mkdtemp(prefix="revoker-alerts-"))
    home.chmod(0o711)  # the user postgres passes through
    open_root()
    try:
        with ThreadPoolExecutor(options.at_once) as pool:
            are_well = list(pool.map(lambda each: _record(each[0], each[1], home), wanted.items()))
    finally:
        close_root()
    if all(are_well):
        shutil.rmtree(home)
    else:
        _say(f"logs in {home}")
    sys.exit(not (wanted and all(are_well)))


def _record(alert: str, row: Row, home: Path) -> bool:
    """Run *row*, and keep what was recorded if it passed; whether it did, and promtool finds what it should."""
    ports = {name: free_port() for name in PROCESSES}
    scraper = Scraper(ports, metrics_read(read_rules()))
    scenes = list[Scene]()

    def scenario(scene: Scene) -> None:
        scene.variables = {name: {**QUICK, "REVOKER_MONITORING__PORT": str(port)} for name, port in ports.items()}
        with scraper:
            row.scenario(scene)
        scenes.append(scene)

    folder = home / row.name
    result = run_row(replace(row, scenario=scenario), RABBITMQ, row.full, SEED, folder)
    _say("\n".join([f"{row.name}: {result.wall:.0f} s", *result.faults[:20]]))
    if not result.passed:
        return False
    count, series = series_from(scraper)
    times = (scenes[0].broken_at, scenes[0].healed_at) if alert else (None, None)
    broken, healed = (round((at or scraper.began) - scraper.began, 1) for at in times)
    told = tried(Recording(alert, row.about, count, broken, healed, series=series), folder)
    told.save(FOLDER / f"{row.name}.json")
    verdict = run([trial_of(told, {each.name: each for each in alerts()})], folder)
    _say(verdict.stdout)
    return verdict.returncode == 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
