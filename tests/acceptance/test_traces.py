"""Traces from real processes to a real collector: one tree from the producer to the ledger, and nothing in the way."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from otlp_collector import Arrived, OtlpCollector, tree
from servers import Processes, free_port, wait_until
from system import System

PRODUCER = "b7ad6b7169203331"  # the id of the producer's span


@pytest.fixture
def collector() -> Iterator[OtlpCollector]:
    """One that takes everything."""
    made = OtlpCollector()
    yield made
    made.close()


def traced(event: dict[str, Any], *, flags: str = "01") -> tuple[str, dict[str, Any]]:
    """The id of a producer's trace, and *event* in it."""
    trace_id = uuid.uuid4().hex
    return trace_id, {**event, "traceparent": f"00-{trace_id}-{PRODUCER}-{flags}", "tracestate": "vendor=1"}


def ended(system: System, provider: str, secret: str) -> dict[str, Any]:
    """An event that ends one session."""
    return system.ended(system.session(provider, secret))


def token() -> str:
    """A token that the sandbox takes for a live one."""
    return f"sbx-{uuid.uuid4().hex}"


TREE = """
intake: process revocation.intake
  intake: send revocation.calls:genesys.routine
    worker: process revocation.calls.genesys.routine
      worker: DELETE
      worker: GET
      worker: send revocation.outcomes:outcome
        recorder: process revocation.outcomes
  intake: send revocation.outcomes:planned
    recorder: process revocation.outcomes
""".strip().splitlines()


def test_a_revocation_is_one_trace_from_the_producer_to_the_ledger(
    rabbitmq_url: str, tmp_path: Path, processes: Processes, collector: OtlpCollector
) -> None:
    """A retry is a trace of its own, linked with the first attempt; what is not recorded, or named badly, is not."""
    system = System(tmp_path / "system", rabbitmq_url, processes, tracing={"endpoint": collector.endpoint})
    running = system.start()
    healed, quiet = token(), token()
    system.script({"fault": "status", "status": 503, "match": healed, "times": 1})
    whole, event = traced(ended(system, "genesys", token()))
    first, again = traced(ended(system, "finbourne", healed))
    silent, unsampled = traced(ended(system, "finbourne", quiet), flags="00")
    bad = {**ended(system, "finbourne", token()), "traceparent": f"00-{'A' * 32}-{PRODUCER}-01"}
    system.wait_closed(system.publish([event, again, unsampled, bad]))
    started = time.monotonic()
    assert [each.stop() for each in running] == [0, 0, 0]
    assert time.monotonic() - started < 15
    spans = collector.spans
    assert tree([each for each in spans if each.trace_id == whole]) == TREE
    _follows_the_producer(spans, whole, event["id"])
    _is_linked(spans, first, again["id"])
    assert not [each for each in spans if each.trace_id == silent]
    [odd] = [
        each for each in spans if each.attributes.get("cloudevents.event_id") == bad["id"] and each.process == "intake"
    ]
    assert (odd.parent_id, odd.links) == ("", ())
    assert {entry.get("traceparent") for entry in system.journal()} == {None}
    system.close()


def _follows_the_producer(spans: list[Arrived], trace_id: str, event_id: str) -> None:
    """What the first and the last span of a trace tell."""
    [intake] = [each for each in spans if each.trace_id == trace_id and each.name == "process revocation.intake"]
    assert (intake.parent_id, intake.attributes["cloudevents.event_id"]) == (PRODUCER, event_id)
    [call] = [each for each in spans if each.trace_id == trace_id and each.name.startswith("process revocation.calls")]
    assert (call.attributes["revoker.outcome"], call.attributes["messaging.system"]) == ("confirmed", "rabbitmq")
    requests = {
        each.name: each.attributes for each in spans if each.trace_id == trace_id and "http" in str(each.attributes)
    }
    assert {name: each["revoker.request.purpose"] for name, each in requests.items()} == {
        "DELETE": "revocation",
        "GET": "proof",
    }
    assert requests["GET"]["http.response.status_code"] == 401


def _is_linked(spans: list[Arrived], trace_id: str, event_id: str) -> None:
    """The second attempt has a trace of its own, which names the span that the first one was brought back in."""
    tries = [
        each
        for each in spans
        if each.name.startswith("process revocation.calls") and each.attributes["cloudevents.event_id"] == event_id
    ]
    one, two = sorted(tries, key=lambda each: each.attributes["revoker.attempt"])
    assert (one.trace_id, one.failed, one.attributes["error.type"]) == (trace_id, True, "http.5xx")
    [(linked, span_id)] = two.links
    assert (two.parent_id, linked, two.trace_id != trace_id) == ("", trace_id, True)
    [sent] = [each for each in spans if each.span_id == span_id]
    assert (sent.parent_id, sent.name) == (one.span_id, "send revocation.calls:finbourne.routine")


@pytest.mark.parametrize("how", ["stalls", "is away"])
def test_a_collector_that_takes_nothing_is_in_nobodys_way(tmp_path: Path, processes: Processes, how: str) -> None:
    """It is said once, calls are made as ever, and every process ends in time."""
    collector = OtlpCollector(stalls=True)
    endpoint = collector.endpoint if how == "stalls" else f"http://127.0.0.1:{free_port()}/v1/traces"
    url = f"embedded:///{tmp_path / 'broker'}"
    system = System(tmp_path / "system", url, processes, tracing={"endpoint": endpoint})
    running = system.start()
    for _ in range(3):
        system.wait_closed(system.publish([ended(system, "finbourne", token()) for _ in range(5)]), 20)
    if how == "is away":
        wait_until(lambda: "traces.not_taken" in running[0].output, 20, "a word about it")
    started = time.monotonic()
    assert [each.stop() for each in running] == [0, 0, 0]
    assert time.monotonic() - started < 15
    assert all(each.output.count("traces.not_taken") <= 1 for each in running)
    assert not any("opentelemetry" in each.output for each in running)
    system.close()
    collector.close()
