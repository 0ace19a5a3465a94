"""Error reports that hold no token.

sentry-sdk sends the arguments of a failing task through the local variables of its frames, and its event scrubber
does not catch them. So nothing is collected that is not needed, and what is sent is made anew from a short list of
members: types, places, our own event names. https://docs.sentry.io/platforms/python/data-management/data-collected/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.utils import BadDsn

from worker.observability import records, work
from worker.observability.redaction import redacted
from worker.settings import SettingsError

if TYPE_CHECKING:
    import logging

    from sentry_sdk._types import DataCollectionUserOptions

    from worker.settings import Settings

SHUTDOWN_TIMEOUT: Final = 2.0  # seconds a process that ends waits for Sentry to take what is left

# Every member is named: one that is left out is collected, whatever the older options say.
NOTHING: Final[DataCollectionUserOptions] = {
    "user_info": False,
    "cookies": {"mode": "off"},
    "http_headers": {"request": {"mode": "off"}},
    "http_bodies": [],
    "url_query_params": {"mode": "off"},
    "graphql": {"document": False, "variables": False},
    "gen_ai": {"inputs": False, "outputs": False},
    "database_query_data": False,
    "queues": False,
    "stack_frame_variables": False,
    "frame_context_lines": 0,
}
_KEPT: Final = ("event_id", "timestamp", "platform", "level", "logger", "environment", "release", "server_name", "sdk")
_KEPT_OF_FRAMES: Final = ("filename", "abs_path", "module", "function", "lineno", "in_app")
_KEPT_OF_TRANSACTIONS: Final = ("type", "transaction", "transaction_info", "start_timestamp")
_KEPT_OF_SPANS: Final = (
    *("trace_id", "span_id", "parent_span_id", "op", "description", "origin", "status", "start_timestamp", "timestamp"),
)
_CAUSE: Final = ("provider", "reason", "flood")


def configure(settings: Settings) -> None:
    """Report errors to the configured DSN; without one, nothing is sent anywhere.

    Sending happens in a thread of its own, with a short queue: a Sentry that is slow or away costs its reports, and
    at the end of the process SHUTDOWN_TIMEOUT seconds, nothing else. Raises SettingsError for what is no DSN.
    """
    if settings.sentry_dsn is None:
        return
    try:
        _init(settings.sentry_dsn.get_secret_value(), settings.environment, settings.sentry_traces_sample_rate)
    except BadDsn:
        raise SettingsError("sentry_dsn: not the DSN of a Sentry project") from None


def _init(dsn: str, environment: str, traces: float = 0.0) -> None:
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=f"revoker@{version('revoker')}",  # else a git command is run to find one
        data_collection=NOTHING,
        traces_sample_rate=traces or None,
        include_local_variables=False,  # still asked where a stack without an exception is attached
        max_breadcrumbs=0,
        auto_session_tracking=False,
        enable_backpressure_handling=False,
        spotlight=False,  # else an environment variable sends everything to yet another place
        debug=False,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
        default_integrations=False,
        integrations=[
            CeleryIntegration(propagate_traces=False),
            LoggingIntegration(level=None, event_level=40, sentry_logs_level=None),
            AtexitIntegration(callback=_no_message),
        ],
        before_send=before_send,
        before_breadcrumb=_drop,
        before_send_transaction=before_send_transaction,
        before_send_log=_drop,
        before_send_metric=_drop,
    )


def before_send(event: Any, hint: Mapping[str, Any]) -> Any:  # noqa: ANN401 - sentry-sdk's own types are internal
    """What leaves of *event*: made from an allow-list and redacted; nothing at all where that fails."""
    try:
        essence, fields = _essence(event), _log_fields(hint.get("log_record"))
        return redacted({**essence, **fields, "tags": {**essence["tags"], **fields.get("tags", {})}})
    except Exception:  # noqa: BLE001 - whatever goes wrong here, an unfiltered event must not leave
        return None


def before_send_transaction(event: Any, _hint: object) -> Any:  # noqa: ANN401 - sentry-sdk's own types are internal
    """A task's times and its queue's figures, from an allow-list; nothing at all where that fails."""
    try:
        named = _only((*_KEPT, *_KEPT_OF_TRANSACTIONS), event)
        trace = _only(_KEPT_OF_SPANS, event["contexts"]["trace"])
        return redacted({**named, "contexts": {"trace": trace}, "spans": [_span(each) for each in event["spans"]]})
    except Exception:  # noqa: BLE001 - whatever goes wrong here, an unfiltered event must not leave
        return None


def _span(span: Mapping[str, Any]) -> dict[str, Any]:
    figures = {name: value for name, value in (span.get("data") or {}).items() if name.startswith("messaging.")}
    return {**_only(_KEPT_OF_SPANS, span), "data": figures}


def _only(names: Iterable[str], members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: members[name] for name in names if name in members}


def _essence(event: Mapping[str, Any]) -> dict[str, Any]:
    exceptions = [_exception(each) for each in event.get("exception", {}).get("values", [])]
    job = event.get("extra", {}).get("celery-job", {})
    return {
        **_only(_KEPT, event),
        "tags": records.task_of(job.get("task_name"), event.get("tags", {}).get("celery_task_id")),
        "extra": work.members(),
        **({"exception": {"values": exceptions}, "fingerprint": _cause(exceptions)} if exceptions else {}),
    }


def _cause(exceptions: Sequence[Mapping[str, Any]]) -> list[str]:
    """What makes an exception the same issue as another: its types, and the function of ours that it came through last.

    Not the whole stack, which differs between releases and between ways to the same fault.
    """
    frames = [frame for each in exceptions for frame in each["stacktrace"]["frames"]]
    ours = [each for each in frames if str(each.get("module")).partition(".")[0] in records.OWN_PACKAGES]
    last = [f"{ours[-1]['module']}.{ours[-1].get('function')}"] if ours else []
    return [*(".".join(filter(None, (each["module"], each["type"]))) for each in exceptions), *last]


def _exception(exception: Mapping[str, Any]) -> dict[str, Any]:
    """Its type and places; its text may be anything, a KeyError's is the key."""
    frames = (exception.get("stacktrace") or {}).get("frames", [])
    mechanism = exception.get("mechanism") or {}
    return {
        "type": exception.get("type"),
        "module": exception.get("module"),
        "mechanism": {"type": mechanism.get("type", "generic"), "handled": mechanism.get("handled")},
        "stacktrace": {"frames": [_only(_KEPT_OF_FRAMES, each) for each in frames]},
    }


def _log_fields(record: logging.LogRecord | None) -> dict[str, Any]:
    """Of an event that is a log record: its name, its members, and what makes it the same issue as another."""
    if record is None:
        return {}
    name, members = records.event_of(record), records.members_of(record)
    error = record.exc_info[1] if record.exc_info else None
    kinds = [records.type_of(each) for each in records.chain(error)] if error else []
    return {
        "logentry": {"message": name},
        "extra": members,
        "tags": {each: str(members[each]) for each in _CAUSE if members.get(each)},
        "fingerprint": [name, *(str(members[each]) for each in _CAUSE if members.get(each)), *kinds],
    }


def _drop(_thing: object, _hint: object) -> None:
    """Nothing but errors is reported."""


def _no_message(_pending: int, _seconds: float) -> None:
    """A process that ends keeps its log clean of sentry-sdk's words."""
