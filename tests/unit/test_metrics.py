"""The table of metrics, and the closed sets that keep a person's name out of a label."""

from collections.abc import Iterator
from typing import Any

import pytest
from exposed import beside_the_table, samples, value
from hypothesis import given
from hypothesis import strategies as st

from tasks.call import Lane
from tasks.outcome import CredentialFault, Listed, Outcome, Permanent, Reason, Settled, State, Transient
from worker.calls.attempts import name_of
from worker.observability import exposition, metrics
from worker.observability.metrics import Counter, Gauge, Histogram

NAMES = frozenset({"genesys", "genesys-eu"})
OWN = {"provider": NAMES, "source": frozenset({"hr"}), "queue": frozenset({f"revocation.calls.genesys.{Lane.URGENT}"})}


@pytest.fixture(autouse=True)
def _names_of_an_installation(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        for label, names in OWN.items():
            patch.setitem(metrics.CLOSED, label, names)
        yield


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The table without what other tests counted, by name."""
    fresh: dict[str, Counter | Gauge | Histogram] = {}
    for each in metrics.TABLE:
        options: dict[str, Any] = {"buckets": each.buckets} if isinstance(each, Histogram) else {}
        fresh[each.name] = type(each)(each.name, each.help, *each.labels, of=each.processes, **options)
    monkeypatch.setattr(metrics, "TABLE", tuple(fresh.values()))
    return fresh


@pytest.mark.parametrize(
    ("outcome", "name"),
    [
        (Settled(State.ACCEPTED, "204"), "accepted"),
        (Settled(State.CONFIRMED, "list 200, empty"), "confirmed"),
        (Settled(State.CONFIRMED, "204", {"partial": "apps"}), "in_part"),
        (Transient(Reason.PROVIDER_IN_PROGRESS), "in_progress"),
        (Listed(Reason.PROVIDER_IN_PROGRESS, items=("a",)), "in_progress"),
        (Transient(Reason.HTTP_5XX), "transient"),
        (Permanent(Reason.AUTH_FORBIDDEN), "permanent"),
        (CredentialFault(Reason.AUTH_FORBIDDEN), "credentialfault"),
    ],
)
def test_what_a_call_came_to_is_counted_by_its_own_name(outcome: Outcome, name: str) -> None:
    """In the log and in the metrics, where a name that is not listed would count as `other`."""
    assert name_of(outcome) == name
    assert name in metrics.CLOSED["outcome"]


def test_each_metric_is_named_and_explained_once() -> None:
    """As Prometheus' own conventions have it: a counter ends in _total, nothing else does."""
    names = [each.name for each in metrics.TABLE]
    assert len(set(names)) == len(names)
    for each in metrics.TABLE:
        assert each.name.startswith("revoker_")
        assert each.name.endswith("_total") == (each.kind == "counter")
        assert each.help.endswith(".")
        assert set(each.labels) <= metrics.CLOSED.keys()
        assert each.processes
        assert set(each.processes) <= set(metrics.EVERY_PROCESS)


def test_no_label_names_a_person_or_a_thing_without_end() -> None:
    """A new label needs a closed set, and a line here: whoever adds one thinks about what it may hold."""
    closed = {
        "provider",
        "source",
        "queue",
        "door",
        "word",
        "finding",
        "process",
        "version",
        "event_type",
        "operation",
        "outcome",
        "code_class",
    }
    assert {label for each in metrics.TABLE for label in each.labels} == {*closed, "reason"} == metrics.CLOSED.keys()


anything = st.one_of(st.text(), st.sampled_from(["genesys", "accepted", "2xx", "http.5xx", "", "hr", "session.ended"]))


@given(st.data())
def test_whatever_is_counted_only_closed_values_are_shown(data: st.DataObject) -> None:
    """Names of people, tokens, URLs: all of them become `unknown` or `other`."""
    counter = Counter("revoker_calls_total", "Help.", *metrics.CALLS.labels, of=["worker"])
    histogram = Histogram("revoker_exposure_seconds", "Help.", *metrics.EXPOSURE.labels, of=["worker"], buckets=(1, 60))
    gauge = Gauge("revoker_dead_letters", "Help.", *metrics.DEAD_LETTERS.labels, of=["recorder"])
    values = data.draw(st.tuples(*[anything] * 4))
    counter.add(*values)
    histogram.observe(0.5, *values[:2])
    gauge.follow(lambda: {values[:2]: 1.0})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "TABLE", (counter, histogram, gauge))
        assert list(beside_the_table(exposition.text().decode(), **OWN)) == []


def test_the_check_finds_what_is_beside_the_table() -> None:
    """It is none if it finds nothing."""
    text = """
# TYPE revoker_replays_total counter
revoker_replays_total{provider="ada@example.com"} 1
revoker_replays_total{person="ada"} 1
# TYPE revoker_people gauge
revoker_people 1
"""
    assert list(beside_the_table(text, **OWN)) == [
        "revoker_replays_total: provider is open",
        "revoker_replays_total: labels ['person']",
        "revoker_replays_total: provider is open",
        "revoker_people: not in the table",
    ]


def test_a_value_outside_its_set_is_unknown_or_other(table: dict[str, Any]) -> None:
    """A provider that was taken out of the settings, a reason of another release."""
    table["revoker_dead_lettered_total"].add("gone", "a.new_reason")
    table["revoker_dead_lettered_total"].add("", "record.invalid")
    labels = [each.labels for each in samples(exposition.text().decode()) if each.name == "revoker_dead_lettered_total"]
    assert labels == [{"provider": "", "reason": "record.invalid"}, {"provider": "unknown", "reason": "other"}]


@pytest.mark.parametrize("reason", [*Reason, "http.4xx.conflict", "http.4xx.other", "event.invalid_time"])
def test_every_reason_of_a_dead_letter_is_a_value(reason: str) -> None:
    """Operators search for what the ledger says."""
    assert metrics.RETRIES.closed(["genesys", reason]) == ("genesys", reason)


def test_the_outcomes_of_a_call_are_the_words_of_the_log() -> None:
    """Every settled state, and the three ways not to be settled."""
    settled = {str(state) for state in State if state.is_settled}
    assert metrics.CLOSED["outcome"] >= settled | {"transient", "permanent", "credentialfault"}


def test_a_histogram_counts_what_took_no_longer(table: dict[str, Any]) -> None:
    """Each bucket holds those before it; the last one holds all."""
    for seconds in (0.05, 1, 59.9, 1e6):
        table["revoker_exposure_seconds"].observe(seconds, "genesys", "session.ended")
    text = exposition.text().decode()
    counts = {
        bound: value(text, "revoker_exposure_seconds_bucket", le=bound) for bound in ("0.1", "1.0", "60.0", "+Inf")
    }
    assert counts == {"0.1": 1, "1.0": 2, "60.0": 3, "+Inf": 4}
    assert value(text, "revoker_exposure_seconds_sum") == pytest.approx(1_000_060.95)
    assert value(text, "revoker_exposure_seconds_count") == 4


def test_gauges_with_the_same_closed_labels_become_one(table: dict[str, Any]) -> None:
    """Counts are added up; of ages the highest is shown."""
    gauge = Gauge("revoker_held_events", "Help.", "provider", of=["recorder"], merge=lambda a, b: a + b)
    gauge.follow(lambda: {("gone",): 1.0, ("lost",): 2.0, ("genesys",): 4.0})
    assert gauge.values() == {("unknown",): 3.0, ("genesys",): 4.0}
    table["revoker_oldest_unsettled_seconds"].follow(lambda: {("gone",): 1.0, ("lost",): 2.0})
    assert table["revoker_oldest_unsettled_seconds"].values() == {("unknown",): 2.0}


def test_what_has_no_value_is_not_shown(table: dict[str, Any]) -> None:
    """An intake has no calls: their metrics are not there, rather than 0."""
    table["revoker_ready"].follow(lambda: {(): 1.0})
    names = {each.name for each in samples(exposition.text().decode()) if not each.name.startswith("process_")}
    assert names == {"revoker_ready"}
