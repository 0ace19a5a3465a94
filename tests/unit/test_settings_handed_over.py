"""Every setting arrives where it is used: each is set to a value of its own, so that none can stand in for another."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor, Tracer
from pydantic import BaseModel
from starting import without_settings

from tasks.call import Lane
from tasks.providers import make_provider
from tasks.retry import RetryPolicy
from tasks.sealing import KeyRing
from tasks.subject_index import SubjectIndex
from worker import app, broker, process
from worker.app import _configuration, _RuntimeHost
from worker.broker import topology
from worker.calls.holds.hold import PROBE_MARGIN, HoldLimits
from worker.calls.prefetch import Prefetch
from worker.calls.rate_limits import per_minute
from worker.intake.flood.window import Limits
from worker.observability import logs, sentry
from worker.observability.tracing import export
from worker.settings import Settings
from worker.settings.sections import (
    FloodSettings,
    HoldSettings,
    MaxAgeSettings,
    MonitoringSettings,
    RetrySettings,
    WorkerSettings,
)
from worker.settings.telemetry import TracingSettings

CHOSEN: dict[str, dict[str, Any]] = {
    "retry": {
        "base": 2.0,
        "cap": 201.0,
        "retry_after_cap": 802.0,
        "max_attempts": 7,
        "routine_budget": 11_111.0,
        "urgent_budget": 22_222.0,
    },
    "max_age": {"session_ended": 33_333.0, "user_disabled": 44_444.0, "outage": 55_555.0},
    "hold": {"first": 3.0, "cap": 33.0},
    "flood": {
        "window": 61.0,
        "disabled": 5,
        "disabled_of_all": 6,
        "ended": 7,
        "ended_of_all": 8,
        "reserve": 9.0,
    },
    "worker": {
        "in_flight_routine": 21,
        "in_flight_urgent": 22,
        "shutdown_grace": 24.0,
        "remote_control": True,
    },
}
GROUPS: dict[str, type[BaseModel]] = {
    "retry": RetrySettings,
    "max_age": MaxAgeSettings,
    "hold": HoldSettings,
    "flood": FloodSettings,
    "worker": WorkerSettings,
}
GENESYS = {
    "kind": "genesys",
    "region": "eu-west-1",
    "client_id": "c",
    "client_secret": "s",
    "timeout": 4.5,
    "rate_limit": 77,
    "subject_issuer": "urn:issuer",
}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Those chosen here."""
    without_settings(monkeypatch, tmp_path)
    return Settings.model_validate({**CHOSEN, "providers": {"eu": GENESYS}, "environment": "staging"})


@pytest.mark.parametrize("name", GROUPS)
def test_every_field_of_a_group_is_chosen_here_and_differs_from_all_others(name: str) -> None:
    """Else a hand-over that is swapped, or dropped, would pass."""
    fields = GROUPS[name].model_fields
    assert CHOSEN[name].keys() == fields.keys()
    assert not [field for field, value in CHOSEN[name].items() if value == fields[field].default]
    assert len(set(CHOSEN[name].values())) == len(fields)


def test_the_retry_policy_is_the_one_that_was_set(settings: Settings) -> None:
    """Base, cap, longest Retry-After and attempts."""
    policy = RetryPolicy(base=2.0, cap=201.0, retry_after_cap=802.0, max_attempts=7)
    assert policy.model_dump().items() <= settings.retry.model_dump().items()


def test_each_lane_has_the_budget_of_its_events(settings: Settings) -> None:
    """For what is planned as well as for what is replayed."""
    budgets = {Lane.ROUTINE: timedelta(seconds=11_111), Lane.URGENT: timedelta(seconds=22_222)}
    assert settings.budgets() == settings.catalogue().budgets == budgets


def test_each_type_of_event_has_its_own_age(settings: Settings) -> None:
    """And the bound by our own clock is on top."""
    assert settings.max_ages() == {
        "session.ended": timedelta(seconds=33_333),
        "session.started": timedelta(seconds=33_333),
        "user.disabled": timedelta(seconds=44_444),
        "user.enabled": timedelta(seconds=44_444),
    }
    assert settings.longest_outage() == timedelta(seconds=55_555)


def test_holds_last_as_long_as_was_set(settings: Settings) -> None:
    """First probe, cap, longest pause that a provider asks for, and how long a probe of a provider may take."""
    limits = HoldLimits.of(settings)
    assert (limits.first, limits.cap, limits.longest_pause) == (3.0, 33.0, 802.0)
    assert limits.leases == {"eu": 4.5 + PROBE_MARGIN}


def test_the_guard_counts_within_the_limits_that_were_set(settings: Settings) -> None:
    """Those of a source and those of all, of either type."""
    assert Limits.set_by(settings.flood) == Limits(
        span=61.0,
        of_source={"session.ended": 7, "session.started": 7, "user.disabled": 5, "user.enabled": 5},
        of_all={"session.ended": 8, "session.started": 8, "user.disabled": 6, "user.enabled": 6},
        reserve={"user.disabled": 9.0},
    )


@pytest.mark.parametrize(("lane", "most"), [(Lane.ROUTINE, 21), (Lane.URGENT, 22)])
def test_each_lane_has_its_own_calls_in_flight(settings: Settings, lane: Lane, most: int) -> None:
    """Urgent ones come on top."""
    assert Prefetch(settings.worker, {}).of_queue(topology.calls_queue("eu", lane).name) == most


def test_celery_is_configured_as_was_set(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remote control, and the grace of a stop; the pool is ours."""
    configured = _configuration(settings)
    assert configured["worker_enable_remote_control"] is True
    assert configured["worker_pool"] == "worker.engine.pool:AsyncioPool"
    for part in ("WorkerRuntime", "EventLoop"):
        monkeypatch.setattr(app, part, lambda *_: None)
    host = _RuntimeHost(settings)
    assert (host.grace, host.provider_names) == (24.0, ["eu"])


def test_the_broker_is_reached_as_was_set(settings: Settings) -> None:
    """By its URL, and trusting whom was named."""
    url, files = "amqps://u:p@broker.test/v", settings.broker_tls.model_copy(update={"ca_file": Path("ca.pem")})
    chosen = settings.model_copy(update={"broker_tls": files, "broker_url": type(settings.broker_url)(url)})
    connection = broker.connector(chosen)()
    assert (connection.hostname, connection.virtual_host) == ("broker.test", "v")
    assert connection.ssl["ca_certs"] == _configuration(chosen)["broker_use_ssl"]["ca_certs"] == "ca.pem"


async def test_a_provider_has_the_timeout_limit_and_issuer_that_were_set(settings: Settings) -> None:
    """Seconds for one call, calls in a minute, and whose `sub` is its user id."""
    provider: Any = make_provider("eu", settings.providers["eu"], None, KeyRing([]))  # type: ignore[arg-type]  # no session
    assert provider._edge._timeout == 4.5
    assert per_minute(settings.providers["eu"]) == 77
    assert settings.catalogue().instances["eu"].subject_issuer == "urn:issuer"


def test_the_subject_index_has_the_key_that_was_set(settings: Settings) -> None:
    """Without it nobody is found again."""
    expected = SubjectIndex(b"k" * 32)
    assert settings.subjects().lookup("a@example.com") == expected.lookup("a@example.com")


def test_error_reports_go_where_was_set(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the installation's name and the share of traces."""
    told: list[Any] = []
    monkeypatch.setattr(sentry, "_init", lambda *given: told.extend(given))
    dsn = type(settings.broker_url)("https://key@sentry.test/1")
    sentry.configure(settings.model_copy(update={"sentry_dsn": dsn, "sentry_traces_sample_rate": 0.25}))
    assert told == ["https://key@sentry.test/1", "staging", 0.25]


def test_a_process_logs_at_the_level_that_was_set(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it does anything else."""
    told: list[tuple[object, ...]] = []
    logging = {"log_level": "WARNING", "log_levels": {"worker.intake": "ERROR"}, "log_format": "human"}
    quiet = settings.model_copy(update={**logging, "monitoring": MonitoringSettings(port=0)})
    monkeypatch.setattr(Settings, "load", lambda: quiet)
    monkeypatch.setattr(logs, "configure", lambda *given: told.append(given))
    monkeypatch.setattr(process, "_forbid_core_files", lambda: None)
    process.run(lambda *_: None, "intake")  # a process that ends at once
    assert told == [tuple(logging.values())]


def test_traces_know_their_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they go, with which headers, how many, and who says so."""
    told: dict[str, Any] = {}
    monkeypatch.setattr(export, "OTLPSpanExporter", lambda **given: told.update(given))
    monkeypatch.setattr(export, "BatchSpanProcessor", lambda *_: SpanProcessor())
    monkeypatch.setattr("atexit.register", lambda *_: None)
    document = {"endpoint": "https://otel.test/v1/traces", "header_secrets": {"X-Key": "s"}, "sample_ratio": 0.25}
    chosen = settings.model_copy(update={"tracing": TracingSettings.model_validate(document)})
    tracer = export.spans(chosen, "intake")._tracer
    assert isinstance(tracer, Tracer)
    assert (told["endpoint"], told["headers"]) == (document["endpoint"], {"X-Key": "s"})
    assert "0.25" in tracer.sampler.get_description()
    assert tracer.resource.attributes["service.name"] == "revoker-intake"
    assert tracer.resource.attributes["deployment.environment.name"] == "staging"
