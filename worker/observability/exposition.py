"""The metrics in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from worker.observability import metrics

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4


class _Table(Collector):
    def collect(self) -> Iterator[Metric]:
        """What has a value in this process."""
        return (family for each in metrics.TABLE if (family := _family(each)).samples)


def _family(metric: metrics.Counter | metrics.Gauge | metrics.Histogram) -> Metric:
    match metric:
        case metrics.Counter():
            counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, count in sorted(metric.values().items()):
                counter.add_metric(labels, count)
            return counter
        case metrics.Gauge():
            gauge = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in sorted(metric.values().items()):
                gauge.add_metric(labels, value)
            return gauge
    histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds = [*map(floatToGoString, metric.buckets), "+Inf"]
    for labels, (counts, seconds) in sorted(metric.values().items()):
        histogram.add_metric(labels, [*zip(bounds, accumulate(counts), strict=True)], seconds)
    return histogram


_registry: Final = CollectorRegistry()
_registry.register(_Table())
ProcessCollector(registry=_registry)


def text() -> bytes:
    """Every metric that has a value in this process, those of the process itself included."""
    return generate_latest(_registry)
