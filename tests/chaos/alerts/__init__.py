"""The alerts on trial: each of them fires for its fault, alone and once, and is over when the fault is.

`make alerts` runs a row of the bench for each alert of `deploy/prometheus/alerts.yaml` and asks every process for its
metrics meanwhile, as Prometheus does. What it was told is kept in `recordings/`, and `make test` has promtool evaluate
the rules on it.

Rules wait for minutes and look back for hours; a row lasts a minute and a half. So the clock of a recording runs 60
times as fast: promtool is told that a second took a minute, and everything that is a time is a minute for each second,
too: when samples were taken, ages, and timestamps. Counts stay what they were; `exposure.within` is a second for that.

| module | what it is |
|---|---|
| `faults.py` | the row of each alert |
| `scraping.py` | asks the processes for their metrics |
| `recording.py` | what they answered, as a small file, and with the clock stretched |
| `rules.py` | the rules, and what their queries name |
| `trial.py` | what promtool is to find |
| `table.py` | the table of docs/runbooks.md |
| `__main__.py` | the command |
"""
