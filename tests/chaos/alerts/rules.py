"""The rules as they are shipped, and what a query of theirs, or of the dashboard, names."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import promql_parser as promql
import yaml

ROOT: Final = Path(__file__).parents[3]
RULES: Final = ROOT / "deploy/prometheus/alerts.yaml"
CONFIG: Final = ROOT / "deploy/prometheus/prometheus.yaml"
_LABEL: Final = re.compile(r"\{\{ \$labels\.(\w+) \}\}")


@dataclass(frozen=True, slots=True)
class Alert:
    """One alerting rule."""

    name: str
    expr: str
    severity: str
    annotations: Mapping[str, str]

    def annotated(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Its annotations as somebody reads them who is told of *labels*."""
        return {
            name: _LABEL.sub(lambda match: labels.get(match[1], ""), text) for name, text in self.annotations.items()
        }


@dataclass(frozen=True, slots=True)
class Matcher:
    """A label by which a query picks series, and the values that it names: each is a regular expression."""

    label: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric, and by what a query picks its series."""

    metric: str
    matchers: tuple[Matcher, ...]


def read_rules(file: Path = RULES) -> list[Mapping[str, Any]]:
    """Every rule of *file*, in order."""
    return [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[Alert]:
    """The alerting rules."""
    rules = [rule for rule in read_rules() if "alert" in rule]
    return [Alert(rule["alert"], rule["expr"], rule["labels"]["severity"], rule["annotations"]) for rule in rules]


def selectors(query: str) -> list[Selector]:
    """What *query* reads. Raises ValueError where it is no PromQL."""
    found = list[Selector]()
    promql.walk(promql.parse(query), lambda node: found.extend(_selected(node)))
    return found


def _selected(node: object) -> Iterator[Selector]:
    if isinstance(node, promql.VectorSelector):
        assert node.name, "a query names its metric"
        yield Selector(node.name, tuple(Matcher(each.name, _named(each)) for each in node.matchers.matchers))


def _named(matcher: promql.Matcher) -> tuple[str, ...]:
    if matcher.op in (promql.MatchOp.Equal, promql.MatchOp.NotEqual):
        return (re.escape(matcher.value),)
    return (matcher.value,) if "(" in matcher.value else tuple(matcher.value.split("|"))


def groupings(query: str) -> frozenset[str]:
    """The labels by which *query* groups or matches."""
    found = set[str]()
    promql.walk(promql.parse(query), lambda node: found.update(_grouped(node)))
    return frozenset(found)


def _grouped(node: object) -> Collection[str]:
    modifier: Any = getattr(node, "modifier", None)
    if isinstance(node, promql.AggregateExpr) and modifier:
        return list(modifier.labels)
    if isinstance(node, promql.BinaryExpr) and modifier:
        matching = modifier.matching.labels if modifier.matching else []
        return [*matching, *(modifier.group_labels or [])]
    return []


def metrics_read(rules: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The metrics of ours that *rules* read, as they are exposed (`…_bucket`)."""
    names = {selector.metric for rule in rules for selector in selectors(rule["expr"])}
    return frozenset(name for name in names if name.startswith("revoker_"))
