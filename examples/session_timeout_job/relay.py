"""From the outbox to the broker: an event is forgotten only when the broker has confirmed it."""

from typing import Any

from kombu import Connection, Producer

from session_timeout_job.events import Outgoing
from session_timeout_job.store import Store

CONFIRM_TIMEOUT = 10  # seconds


def publish_waiting(store: Store, broker_url: str) -> int:
    """Publish what the outbox holds; return how many events. Raises what kombu raises: then the rest stays there."""
    published = 0
    with _connection(broker_url) as connection:
        while events := store.waiting():
            connection.connect()  # tries once; on its first use kombu would try for ever
            for event in events:
                _publish(Producer(connection), event)
            store.forget(events)
            published += len(events)
    return published


def _connection(broker_url: str) -> Any:
    tls = {"server_hostname": None} if broker_url.startswith("amqps:") else False  # None: check the URL's host name
    return Connection(broker_url, ssl=tls, transport_options={"confirm_publish": True})


def _publish(producer: Any, event: Outgoing) -> None:
    producer.publish(
        event.body.encode(),
        exchange="revocation.events",
        routing_key=event.type,
        content_type="application/cloudevents+json",
        content_encoding="utf-8",
        headers={"x-revocation-signature": event.signature},
        delivery_mode=2,  # persistent
        mandatory=True,  # an error where no queue takes it, instead of silence
        confirm_timeout=CONFIRM_TIMEOUT,
    )
