"""Metrics and health of real processes: what they show is what happened, and no fault makes them say otherwise."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from chaos.proxy import WELL, Fault, Proxy
from engine_system import Probe
from exposed import beside_the_table, value
from servers import Daemon, Processes, RabbitNode, wait_until
from system import PROCESSES, System

from worker import broker
from worker.broker import topology

OF_EACH = ("revocation.intake", "revocation.calls.wibmo.routine", "revocation.dead")  # a queue of each process
LIVE, READY, STARTED = "/livez", "/readyz", "/startupz"
ADD_USER = """
rabbit_auth_backend_internal:add_user(<<"$USER">>, <<"password">>, <<"tests">>),
rabbit_auth_backend_internal:set_permissions(<<"$USER">>, <<"$VHOST">>, <<"">>, <<".*">>, <<"$READ">>, <<"tests">>).
"""
DELETE_USER = 'rabbit_auth_backend_internal:delete_user(<<"$USER">>, <<"tests">>).'


@pytest.fixture
def embedded(tmp_path: Path, processes: Processes) -> Iterator[System]:
    """An installation that needs no server."""
    url = f"embedded:///{tmp_path / 'broker.sqlite3'}"
    made = System(
        tmp_path / "system", url, processes, monitoring={"port": 0, "stalled_after": 2, "snapshot_interval": 0.5}
    )
    yield made
    made.close()


@contextmanager
def as_user_who_reads(queues: str, node: RabbitNode, vhost: str) -> Iterator[str]:
    """The URL of a user who may declare nothing, and reads what *queues* fits."""
    user = f"reader-{vhost}"
    node.control(ADD_USER.replace("$USER", user).replace("$VHOST", vhost).replace("$READ", queues))
    yield f"amqp://{user}:password@127.0.0.1:{node.port}/{vhost}"
    node.control(DELETE_USER.replace("$USER", user))


def shows(system: System, name: str, metric: str, **labels: str) -> float:
    """The value of a metric of a process, now."""
    status, text = system.page(name)
    assert status == 200
    return value(text, metric, **labels)


def wait_shown(system: System, name: str, metric: str, expected: float, **labels: str) -> None:
    """Wait until a process shows *expected*."""
    what = f"{name} to show {metric} {labels} as {expected}"
    wait_until(lambda: shows(system, name, metric, **labels) == expected, 20, what)


def health(system: System, name: str, question: str) -> int:
    """The exit code of `revoker health` about one process."""
    env = {**system.env, "REVOKER_MONITORING__PORT": str(system.ports[name])}
    return system.processes.run("revoker", "health", question, "--process", name, env=env).returncode


def test_the_metrics_tell_what_happened(embedded: System) -> None:
    """Settled, tried again, given up, refused; then a provider is held: its calls wait, and nobody is less ready."""
    system = embedded
    system.start_shown()
    system.script({"fault": "status", "status": 503, "times": 1, "match": "sbx-again"})
    sessions = [("genesys", "sbx-well"), ("genesys", "sbx-again"), ("nobody", "sbx-nobody")]
    ids = system.publish([system.ended(system.session(*each)) for each in sessions])
    system.publish([{**system.ended(system.session("genesys", "sbx-x")), "time": "2020-01-01T00:00:00Z"}])
    system.wait_closed(ids)
    wait_shown(system, "intake", "revoker_events_received_total", 3, source="tests", outcome="planned")
    wait_shown(system, "intake", "revoker_events_received_total", 1, source="tests", outcome="refused")
    wait_shown(system, "worker", "revoker_calls_total", 2, provider="genesys", outcome="confirmed", code_class="2xx")
    assert shows(system, "worker", "revoker_calls_total", outcome="transient", code_class="5xx") == 1
    assert shows(system, "worker", "revoker_call_duration_seconds_count", provider="genesys") == 3
    assert shows(system, "worker", "revoker_exposure_seconds_count", event_type="session.ended") == 2
    assert shows(system, "worker", "revoker_retries_total", provider="genesys", reason="http.5xx") == 1
    wait_shown(system, "recorder", "revoker_dead_letters", 1, reason="route.unknown_provider")
    assert shows(system, "recorder", "revoker_dead_lettered_total", reason="route.unknown_provider") == 1
    system.revoker("provider", "hold", "wibmo", "--reason", "maintenance", "--yes")
    wait_shown(system, "worker", "revoker_breaker_state", 3, provider="wibmo")
    system.publish([system.ended(system.session("wibmo", "sbx-held"))])
    wait_shown(system, "recorder", "revoker_held_events", 1, provider="wibmo")
    wait_shown(system, "recorder", "revoker_queue_depth", 1, queue="revocation.calls.wibmo.routine")
    assert shows(system, "recorder", "revoker_oldest_unsettled_seconds", provider="wibmo") > 0
    for name in PROCESSES:
        assert system.page(name, READY)[0] == 200, "a held provider is nobody's fault"
        text = system.page(name)[1]
        own = {"provider": frozenset(system.providers), "source": frozenset({"tests"})}
        own["queue"] = frozenset(queue.name for queue in topology.all_queues(system.providers))
        assert list(beside_the_table(text, **own)) == []
        assert shows(system, name, "revoker_ready") == shows(system, name, "revoker_build_info", process=name) == 1


def test_a_process_that_stands_still_is_not_live(embedded: System) -> None:
    """Frozen by a signal: nobody answers, and `revoker health` says so; it goes on where it was."""
    system = embedded
    [intake] = system.start_shown("intake")
    assert [health(system, "intake", question) for question in ("live", "ready", "started")] == [0, 0, 0]
    intake.freeze()
    assert health(system, "intake", "live") == 69
    intake.send_signal(signal.SIGCONT)
    system.wait_page("intake", LIVE, 200)
    assert intake.stop() == 0


def test_a_loop_that_is_blocked_is_not_live(embedded: System) -> None:
    """The endpoint answers, since it has a thread of its own: that the worker's loop gives no sign."""
    probe = Probe(embedded, **embedded.shown("worker"))
    probe.start()
    embedded.wait_page("worker", READY, 200)
    probe.send("probe.block", 5.0)
    probe.wait_for("blocks")
    embedded.wait_page("worker", LIVE, 503)
    assert "no sign of the loop" in embedded.page("worker", LIVE)[1]
    assert (embedded.page("worker", READY)[0], embedded.page("worker")[0]) == (503, 200)
    embedded.wait_page("worker", READY, 200)


def test_a_broker_that_is_away_makes_nobody_look_dead(
    rabbitmq: RabbitNode, rabbitmq_vhost: str, tmp_path: Path, processes: Processes
) -> None:
    """Not ready, and live all the time: nobody restarts them; they are ready again by themselves."""
    with Proxy(rabbitmq.port) as line:
        url = rabbitmq.url(rabbitmq_vhost).replace(f":{rabbitmq.port}/", f":{line.port}/")
        system = System(tmp_path / "system", url, processes, monitoring={"port": 0, "stalled_after": 3})
        running = system.start_shown()
        line.break_with(Fault(refuse=True))
        line.reset()
        for name in PROCESSES:
            system.wait_page(name, READY, 503)
        for name in PROCESSES * 3:
            assert (system.page(name, LIVE)[0], system.page(name, STARTED)[0]) == (200, 200)
            assert "broker" in system.page(name, READY)[1]
        line.break_with(WELL)
        for name in PROCESSES:
            system.wait_page(name, READY, 200)
        assert all(process.running for process in running)
        _end(running)
        system.close()


def _end(running: list[Daemon]) -> None:
    assert [process.stop() for process in running] == [0] * len(running)


def test_a_process_that_answers_and_consumes_nothing_is_not_ready(
    rabbitmq: RabbitNode, rabbitmq_vhost: str, tmp_path: Path, processes: Processes
) -> None:
    """Its broker user sees the queues and may not read them: it lives, has started, and is not ready."""
    system = System(tmp_path / "system", rabbitmq.url(rabbitmq_vhost), processes)
    system.revoker("topology", "declare")
    with as_user_who_reads("^$", rabbitmq, rabbitmq_vhost) as url:
        for name in PROCESSES:
            system.processes.start("revoker", name, env=system.shown(name, REVOKER_BROKER_URL=url), name=name)
        for name in PROCESSES:
            system.wait_page(name, STARTED, 200)
            assert system.page(name, LIVE)[0] == 200
            assert system.page(name, READY)[0] == 503
            assert shows(system, name, "revoker_ready") == 0
            assert "password" not in system.page(name, READY)[1]
    system.close()


def _is_consumed(channel: Any, queue: str) -> bool:
    return bool(channel.queue_declare(queue, passive=True).consumer_count)


def test_a_process_whose_consumer_was_cancelled_is_not_ready(
    rabbitmq: RabbitNode, rabbitmq_vhost: str, tmp_path: Path, processes: Processes
) -> None:
    """Somebody deleted its queue, and it may declare none: it lives, and is ready once the queue is there again."""
    system = System(tmp_path / "system", rabbitmq.url(rabbitmq_vhost), processes)
    system.revoker("topology", "declare")
    with as_user_who_reads(".*", rabbitmq, rabbitmq_vhost) as url:
        running = system.start_shown(REVOKER_BROKER_URL=url)
        with broker.connect(system.broker_url) as connection:
            channel = connection.channel()
            for queue in OF_EACH:  # RabbitMQ 3.10 tells no consumer that it has not yet counted
                wait_until(partial(_is_consumed, channel, queue), 10, f"a consumer of {queue}")
                channel.queue_delete(queue)
        for name in PROCESSES:
            system.wait_page(name, READY, 503)
            assert (system.page(name, LIVE)[0], system.page(name, STARTED)[0]) == (200, 200)
        system.revoker("topology", "declare")
        for name in PROCESSES:
            system.wait_page(name, READY, 200)
        _end(running)
    system.close()
