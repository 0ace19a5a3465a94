"""Celery with one of its stock pools and requests; late acks, no results, no chatter between workers."""

import os

from calling import BROKER, IN_FLIGHT, PREFETCH, QUEUE, BlockingCaller, Document
from celery import Celery
from kombu import Exchange, Queue

app = Celery("bench", broker=BROKER)
app.conf.update(
    task_queues=[Queue(QUEUE, Exchange(""), routing_key=QUEUE)],
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=max(1, PREFETCH // IN_FLIGHT),
    worker_enable_remote_control=False,
    worker_send_task_events=False,
)
caller = BlockingCaller(shared=os.environ["BENCH_POOL"] == "gevent")


@app.task(name="revoke")
def revoke(document: Document) -> None:
    """Make one provider call."""
    caller.call(document)
