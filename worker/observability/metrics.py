"""Every metric of every process, in one table: its name, its labels, and which processes show it."""

from operator import add
from typing import Final

from worker.observability.metric import (
    CLOSED,
    CONSOLE,
    DOOR,
    DOORS,
    EVERY_PROCESS,
    INTAKE,
    LDAP,
    NO_ANSWER,
    OTHER,
    PROCESSES,
    RECORDER,
    SWEEP,
    UNKNOWN,
    WORKER,
    Counter,
    EventOutcome,
    Figures,
    Gauge,
    Histogram,
    Labels,
    Metric,
    allow,
)
from worker.settings.exposure import WITHIN

__all__ = [
    "CLOSED",
    "CONSOLE",
    "DOOR",
    "DOORS",
    "EVERY_PROCESS",
    "INTAKE",
    "LDAP",
    "NO_ANSWER",
    "OTHER",
    "PROCESSES",
    "RECORDER",
    "SWEEP",
    "UNKNOWN",
    "WORKER",
    "Counter",
    "EventOutcome",
    "Figures",
    "Gauge",
    "Histogram",
    "Labels",
    "Metric",
    "allow",
]

# Up to the longest timeout that a provider may have.
DURATION_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)

BUILD_INFO: Final = Gauge(
    "revoker_build_info", "1, with the version and the process as labels.", "version", "process", of=EVERY_PROCESS
)
READY: Final = Gauge(
    "revoker_ready", "1 while the process is connected and consumes its queues, or listens, else 0.", of=EVERY_PROCESS
)
LAST_ACTIVITY: Final = Gauge(
    "revoker_consumer_last_activity_timestamp_seconds",
    "When the consumer last took messages, or was connected and had room for more, in seconds since 1970.",
    of=PROCESSES,
)
EVENTS_RECEIVED: Final = Counter(
    "revoker_events_received_total",
    "Events that the intake is done with.",
    *("event_type", "source", "outcome"),
    of=[INTAKE],
)
CALLS: Final = Counter(
    "revoker_calls_total",
    "Calls made at providers, by what the provider's answer means and by the class of its status.",
    *("provider", "operation", "outcome", "code_class"),
    of=[WORKER],
)
CALL_DURATION: Final = Histogram(
    "revoker_call_duration_seconds",
    "Seconds of a call at a provider, logins and proof included.",
    *("provider", "operation"),
    of=[WORKER],
    buckets=DURATION_BUCKETS,
)
EXPOSURE: Final = Histogram(
    "revoker_exposure_seconds",
    "Seconds from an event's time until its call was settled, that is until the token was known to be dead.",
    *("provider", "event_type"),
    of=[WORKER],
    buckets=WITHIN,
)
EXPOSURE_LATE: Final = Counter(
    "revoker_exposure_late_total",
    "Calls of them that were settled later than `exposure.within` after their event.",
    *("provider", "event_type"),
    of=[WORKER],
)
EXPOSURE_OBJECTIVE: Final = Gauge(
    "revoker_exposure_objective_ratio", "The setting `exposure.objective`, by which alerts judge them.", of=[WORKER]
)
RETRIES: Final = Counter(
    "revoker_retries_total", "Calls that will be tried again, by why.", "provider", "reason", of=[WORKER]
)
BREAKER_STATE: Final = Gauge(
    "revoker_breaker_state",
    "0: calls are made. 1: held, and one call may go as a probe. 2: held by its failures. 3: held by an operator.",
    "provider",
    of=[WORKER],
)
DEAD_LETTERED: Final = Counter(
    "revoker_dead_lettered_total", "Dead letters taken into the ledger, by why.", "provider", "reason", of=[RECORDER]
)
REPLAYS: Final = Counter(
    "revoker_replays_total", "Replayed calls that were settled or died again.", "provider", of=[RECORDER]
)
DEAD_LETTERS: Final = Gauge(
    "revoker_dead_letters",
    "Dead letters that wait for an operator, those that a flood withholds included.",
    *("provider", "reason"),
    of=[RECORDER],
    merge=add,
)
OLDEST_DEAD_LETTER: Final = Gauge(
    "revoker_oldest_dead_letter_seconds",
    "Seconds since the last death of the one that waits longest.",
    *("provider", "reason"),
    of=[RECORDER],
)
UNSETTLED_CALLS: Final = Gauge(
    "revoker_unsettled_calls", "Calls of which more is to come by itself.", "provider", of=[RECORDER], merge=add
)
OLDEST_UNSETTLED: Final = Gauge(
    "revoker_oldest_unsettled_seconds", "Seconds since the time of the oldest event of them.", "provider", of=[RECORDER]
)
HELD_EVENTS: Final = Gauge(
    "revoker_held_events", "Calls of them that wait behind a hold.", "provider", of=[RECORDER], merge=add
)
QUEUE_DEPTH: Final = Gauge(
    "revoker_queue_depth",
    "Messages that wait in a queue; those in hand are not counted.",
    "queue",
    of=[RECORDER],
    merge=add,
)
DOOR_REQUESTS: Final = Counter(
    "revoker_door_requests_total",
    "Requests that a door has answered, by what became of them.",
    "door",
    "word",
    of=[DOOR],
)
DOOR_EVENTS: Final = Counter(
    "revoker_door_events_total", "Events that came in by a door and are safe.", "door", "event_type", of=DOORS
)
OUTBOX_EVENTS: Final = Gauge(
    "revoker_outbox_events", "Events that wait in the outbox for the broker.", "door", of=DOORS, merge=add
)
OUTBOX_OLDEST: Final = Gauge(
    "revoker_outbox_oldest_seconds", "Seconds since the oldest of them came in.", "door", of=DOORS
)
SWEEP_EVENTS: Final = Counter(
    "revoker_sweep_events_total",
    "Events that looks at a door's source found: `missed` are those that its push did not bring in time.",
    "door",
    "finding",
    of=[SWEEP],
)
SWEEP_FAILURES: Final = Counter(
    "revoker_sweep_failures_total", "Looks at a door's source that did not come through.", "door", of=[SWEEP]
)
SWEEP_LOOKED: Final = Gauge(
    "revoker_sweep_last_look_timestamp_seconds",
    "When the last look at a door's source came through, in seconds since 1970.",
    "door",
    of=[SWEEP],
)
DIRECTORY_HELD: Final = Gauge(
    "revoker_directory_held_people",
    "People whom a held directory would disable or enable, or says to be gone while they are there.",
    "door",
    of=[LDAP],
)
DIRECTORY_MISSED: Final = Counter(
    "revoker_directory_missed_total",
    "People whose change a listing of everybody found, which the directory had not told.",
    "door",
    of=[LDAP],
)
DIRECTORY_READ: Final = Gauge(
    "revoker_directory_read_timestamp_seconds",
    "When a directory last answered, in seconds since 1970.",
    "door",
    of=[LDAP],
)
REGISTRY_SESSIONS: Final = Gauge(
    "revoker_registry_sessions", "Sessions that the session registry keeps.", "provider", of=[INTAKE]
)

TABLE: Final[tuple[Counter | Gauge | Histogram, ...]] = (
    *(BUILD_INFO, READY, LAST_ACTIVITY, EVENTS_RECEIVED, CALLS, CALL_DURATION, EXPOSURE, EXPOSURE_LATE),
    *(EXPOSURE_OBJECTIVE, RETRIES, BREAKER_STATE, DEAD_LETTERED, REPLAYS, DEAD_LETTERS, OLDEST_DEAD_LETTER),
    *(UNSETTLED_CALLS, OLDEST_UNSETTLED, HELD_EVENTS, QUEUE_DEPTH),
    *(DOOR_REQUESTS, DOOR_EVENTS, OUTBOX_EVENTS, OUTBOX_OLDEST, SWEEP_EVENTS, SWEEP_FAILURES, SWEEP_LOOKED),
    *(DIRECTORY_HELD, DIRECTORY_MISSED, DIRECTORY_READ),
    *(REGISTRY_SESSIONS,),
)
