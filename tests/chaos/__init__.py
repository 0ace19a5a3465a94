"""The fault bench: every row of the fault matrix as a scripted, seeded scenario, judged by one oracle.

`make test` runs the small form (200 events) of every row that takes under 20 s; `make chaos` runs all at full size
(2 000 events, most of them), prints the table and writes `results.json`; `make chaos ROWS='W1|B.*'` runs some.

**To add a row**, write a function in the module of its family (`rows_worker.py`, `rows_broker.py`, …; a new
`rows_*.py` is found by itself):

```python
@row("W1", duplicates=IN_FLIGHT, harmless=DEAD_TOKEN)
def kill9_with_calls_in_flight(scene: Scene) -> None:
    \"\"\"kill -9 the worker with calls in flight.\"\"\"    # becomes a line of the table
    scene.start()                                      # intake, worker, recorder
    scene.publish()                                    # load: confirmed, or published again until it is
    scene.wait_revoked(0.2)                            # a fifth of the tokens are dead, by the provider's journal
    scene.kill9("worker")                              # fault
    scene.start("worker")                              # heal; scene.healed() says when, if not at the end
```

Drain and oracle follow by themselves. A row that wants to look at something afterwards calls `scene.drain()` and
asserts. What a row may need (`Row`): `brokers`; `fast`, those on which its small form is a part of `make test`;
`private`, a RabbitMQ node it may harm: `scene.node`; `links`, fault proxies:
`scene.lines["worker-broker"].break_with(BLACK_HOLE)`; `settings`; `providers`; `duplicates`, with the reason why they
are `harmless`; `reasons` of the dead letters it scripts; `within`, seconds from the heal to the first call; `full`, its
events where they are not 2 000; `latency` of the providers; a `load` of its own; a `small_disk` for ledger or broker.
What a row measured goes into `scene.remark`.
Faults of providers, for any of `scene.load.units`: `scene.system.script({"fault": "reset", "match": unit.key})`.

| module | what it is |
|---|---|
| `rows.py`, `rows_*.py` | the rows, and how they are declared |
| `scene.py` | what a scenario acts on: processes by name, publishing, waiting |
| `oracle.py` | lost, unexpected, contradicted, undead, leftover, duplicated |
| `load.py` | the events, drawn with a seed, and what must be dead afterwards |
| `desk.py` | dead letters and their replays |
| `proxy.py`, `lines.py` | the TCP fault proxy, and how it gets between two parts |
| `doors.py` | who stands at a provider's address instead of it |
| `said.py` | what a worker said of its calls and holds |
| `clock.py`, `disk.py` | a clock that jumps, a disk that is full |
| `brokers.py` | the two brokers: queue counts and files |
| `running.py`, `report.py`, `__main__.py` | one row; the table; the command |
| `alerts/` | a row for each alert, and what the processes told of themselves meanwhile |
"""
