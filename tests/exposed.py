"""What a process shows at /metrics, compared with the one table of metrics."""

from collections.abc import Iterator, Mapping
from urllib.error import HTTPError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from worker.observability import metrics

OF_PYTHON = "process_"  # what the client library itself tells of a process, without any label
_OF_A_BUCKET = {"le"}


def page(port: int, path: str) -> tuple[int, str]:
    """The status and the text of a page of the process that has this port. Raises OSError where nobody answers."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def samples(text: str) -> list[Sample]:
    """Every sample of an exposition."""
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def value(text: str, name: str, **labels: str) -> float:
    """The value of a metric with these labels and any others, several added up; 0 where there is none."""
    found = [each for each in samples(text) if each.name == name and labels.items() <= each.labels.items()]
    return sum(each.value for each in found)


def beside_the_table(text: str, **own: frozenset[str]) -> Iterator[str]:
    """What of an exposition is in no row of the table, or in no closed set; *own* are an installation's own names."""
    known = {each.name.removesuffix("_total"): each for each in metrics.TABLE}
    for family in text_string_to_metric_families(text):
        if family.name.startswith(OF_PYTHON):
            yield from (f"{each.name}: {sorted(each.labels)}" for each in family.samples if each.labels)
        elif (row := known.get(family.name)) is None or row.kind != family.type:
            yield f"{family.name}: not in the table"
        else:
            yield from (fault for each in family.samples for fault in _open_labels(row, each, own))


def _open_labels(row: metrics.Metric, sample: Sample, own: Mapping[str, frozenset[str]]) -> Iterator[str]:
    if sample.labels.keys() - _OF_A_BUCKET != set(row.labels):
        yield f"{sample.name}: labels {sorted(sample.labels)}"
    for label in row.labels:
        closed = own.get(label, metrics.CLOSED[label]) | {"", metrics.UNKNOWN, metrics.OTHER}
        if sample.labels.get(label) not in closed:
            yield f"{sample.name}: {label} is open"
