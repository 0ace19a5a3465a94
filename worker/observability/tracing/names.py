"""The names in traces: the only attributes a span may have, and the operations it is called after.

Those without the prefix `revoker.` are OpenTelemetry's semantic conventions, version 1.44.0
(https://opentelemetry.io/docs/specs/semconv/), of which messaging is in development: they may change with a release.
The destination of a consumer's span is its queue alone, since a producer may choose any routing key. A request's URL
is left out, because it may name a user; its subject, headers and bodies as well.
"""

from enum import StrEnum
from typing import Final

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"

TRACEPARENT: Final = "traceparent"  # header of a message: the span that it was sent in
TRACESTATE: Final = "tracestate"  # header beside it: what other systems of the trace want to know again
TRACES: Final = "x-revocation-traces"  # header of a pack: the `traceparent` of each record, with commas between
FOLLOWS: Final = "x-revocation-follows"  # header of a call that comes again: the span of the try before


class Attribute(StrEnum):
    """The attributes of spans, and of the process that makes them."""

    MESSAGING_SYSTEM = "messaging.system"
    OPERATION_NAME = "messaging.operation.name"
    OPERATION_TYPE = "messaging.operation.type"
    DESTINATION = "messaging.destination.name"
    MESSAGE_ID = "messaging.message.id"
    EVENT_ID = "cloudevents.event_id"
    EVENT_SOURCE = "cloudevents.event_source"
    EVENT_TYPE = "cloudevents.event_type"
    HTTP_METHOD = "http.request.method"
    HTTP_STATUS = "http.response.status_code"
    SERVER_ADDRESS = "server.address"
    SERVER_PORT = "server.port"
    ERROR_TYPE = "error.type"
    SERVICE_NAME = "service.name"
    SERVICE_NAMESPACE = "service.namespace"
    SERVICE_VERSION = "service.version"
    SERVICE_INSTANCE = "service.instance.id"
    ENVIRONMENT = "deployment.environment.name"
    PROVIDER = "revoker.provider"
    OPERATION = "revoker.operation"
    ATTEMPT = "revoker.attempt"
    REPLAYS = "revoker.replays"
    OUTCOME = "revoker.outcome"
    REASON = "revoker.reason"
    PURPOSE = "revoker.request.purpose"


class Operation(StrEnum):
    """What is done with a message: `messaging.operation.type`, and the first word of the span's name."""

    SEND = "send"
    PROCESS = "process"
