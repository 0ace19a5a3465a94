"""What the shipped rules and the dashboard ask for exists: each metric, each label, each value that is spelt out."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from in_one_test import in_one_test
from prometheus_client import ProcessCollector

from chaos.alerts.recording import recordings
from chaos.alerts.rules import ROOT, Matcher, alerts, groupings, read_rules, selectors
from worker.broker import topology
from worker.observability import metrics

BOARD = json.loads((ROOT / "deploy/grafana/revoker.json").read_text())
OF_PROMETHEUS = {"job", "instance"}
OF_ALERTS = {"alertname", "alertstate", "severity"}
OWN = {"provider", "source", *OF_PROMETHEUS}  # whose values an installation chooses
QUERIES = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in read_rules()]
RECORDED = {rule["record"]: {"provider"} for rule in read_rules() if "record" in rule}


def exposed() -> Iterator[tuple[str, set[str]]]:
    """The name of each series that a process may show, and its labels."""
    for metric in metrics.TABLE:
        labels = {*metric.labels, *OF_PROMETHEUS}
        if metric.kind == "histogram":
            yield from ((f"{metric.name}_{part}", labels) for part in ("sum", "count"))
            yield f"{metric.name}_bucket", labels | {"le"}
        else:
            yield metric.name, labels
    of_process = [sample.name for family in ProcessCollector(registry=None).collect() for sample in family.samples]
    yield from ((name, set(OF_PROMETHEUS)) for name in of_process)


KNOWN = {**dict(exposed()), **RECORDED, "ALERTS": {"provider", "process", *OF_ALERTS}}
VALUES = {
    **metrics.CLOSED,
    "queue": {queue.name for queue in topology.all_queues([])},
    "le": {str(float(bound)) for bound in (*metrics.EXPOSURE.buckets, *metrics.DURATION_BUCKETS)},
    "alertname": {alert.name for alert in alerts()},
    "alertstate": {"firing", "pending"},
}


def panel_queries() -> Iterator[tuple[str, str]]:
    """The title of each panel, and what it asks; Grafana's variables filled in."""
    asked = [(panel["title"], target["expr"]) for panel in BOARD["panels"] for target in panel.get("targets", [])]
    asked += [(each["name"], each["expr"]) for each in BOARD["annotations"]["list"]]
    return ((title, re.sub(r"\$provider\b", ".+", expr).replace("$__rate_interval", "5m")) for title, expr in asked)


@in_one_test
@pytest.mark.parametrize(("name", "query"), [*QUERIES, *panel_queries()], ids=str)
def test_every_query_names_what_exists(name: str, query: str) -> None:
    """A renamed metric, label or reason would leave an alert silent and a panel empty."""
    read = selectors(query)
    assert {selector.metric for selector in read} <= KNOWN.keys(), name
    for selector in read:
        assert {matcher.label for matcher in selector.matchers} <= KNOWN[selector.metric], name
        assert [each for each in selector.matchers if not values_exist(each)] == [], name
    assert groupings(query) <= set().union(*(KNOWN[selector.metric] for selector in read)), name


def values_exist(matcher: Matcher) -> bool:
    """Whether each value that it names is one that its label can have."""
    known = VALUES.get(matcher.label, set())
    return matcher.label in OWN or all(any(re.fullmatch(name, each) for each in known) for name in matcher.values)


def test_what_the_dashboard_writes_beside_a_line_is_a_label() -> None:
    """`{{provider}}` of a metric without a provider would be an empty legend."""
    for panel in BOARD["panels"]:
        for target in panel.get("targets", []):
            of_metrics = set().union(*(KNOWN[each.metric] for each in selectors(filled(target["expr"]))))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= of_metrics, panel["title"]


def filled(expr: str) -> str:
    """*expr* with Grafana's variables filled in."""
    return re.sub(r"\$provider\b", ".+", expr).replace("$__rate_interval", "5m")


def test_every_panel_is_of_the_chosen_prometheus_and_says_what_it_shows() -> None:
    """No panel points to the data source of whoever drew it; ids are unique, and none lies over another."""
    panels = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
    sources = [panel["datasource"]["uid"] for panel in panels] + [
        target["datasource"]["uid"] for panel in panels for target in panel["targets"]
    ]
    assert set(sources) == {"${datasource}"}
    assert [panel["title"] for panel in panels if not panel["description"]] == []
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells = [cell for panel in panels for cell in covered(panel["gridPos"])]
    assert len(cells) == len(set(cells))


def covered(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    """The cells of the grid that a panel covers."""
    return (
        (x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])
    )


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    """What nobody looks at need not be measured."""
    shown: set[Any] = {each.metric for _, query in panel_queries() for each in selectors(query)}
    shown |= {each.metric for _, query in QUERIES for each in selectors(query)}
    missing = {metric.name for metric in metrics.TABLE} - {re.sub("_(bucket|count|sum)$", "", name) for name in shown}
    assert missing == set()


def test_what_was_recorded_is_still_exposed() -> None:
    """A recording of metrics that are no more would prove nothing."""
    for recording in recordings():
        for series in recording.series:
            metric, _, labels = series.partition("{")
            assert set(re.findall(r'(\w+)="', labels)) <= KNOWN[metric], recording.alert
