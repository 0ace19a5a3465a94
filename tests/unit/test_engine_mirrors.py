"""Parts of Celery, kombu, py-amqp and sentry-sdk are replaced here: when one changes, somebody must look."""

import hashlib
import inspect
from collections.abc import Callable

import pytest
from amqp import serialization
from amqp.abstract_channel import AbstractChannel
from amqp.channel import Channel
from amqp.method_framing import frame_writer
from amqp.transport import SSLTransport, TCPTransport, _AbstractTransport
from celery.app import trace
from celery.app.task import Context, Task
from celery.concurrency.base import BasePool
from celery.utils.threads import _LocalStack
from celery.worker import loops, strategy
from celery.worker.consumer.consumer import Consumer
from celery.worker.request import Request
from in_one_test import in_one_test
from kombu import Consumer as KombuConsumer
from kombu.asynchronous.hub import Hub
from kombu.message import Message
from kombu.utils.eventio import _epoll
from sentry_sdk.integrations import celery as sentry

from worker.broker import pyamqp

MIRRORED = {
    (loops.asynloop, "worker/engine/consumer.py"): "05a53e51998887ca",
    (loops._enable_amqheartbeats, "worker/engine/consumer.py"): "073acd8e98b858a2",
    (Hub.create_loop, "worker/engine/consumer.py"): "bc5b3f9d66b99d45",
    (Hub.call_soon, "worker/engine/consumer.py"): "ec0433083ce8db41",
    (_epoll, "worker/engine/consumer.py"): "ea73630e602f394b",
    (Consumer.ensure_connected, "worker/engine/consumer.py"): "3f79cf3bb6d6da8c",
    (Consumer.call_soon_ack, "worker/engine/consumer.py"): "39f8579d076243fc",
    (Consumer.create_task_handler, "worker/engine/consumer.py"): "292c5a681f10ade7",
    (trace.build_tracer, "worker/engine/tracer.py"): "b2945aec38e1872e",
    (trace.fast_trace_task, "worker/engine/tracer.py"): "52c76aab90e1656f",
    (trace.TraceInfo, "worker/engine/tracer.py"): "a07fc09754c447e0",
    (Context, "worker/engine/tracer.py"): "ba7c12053b42a24f",
    (BasePool, "worker/engine/pool.py"): "37bc2b310c4fffe2",
    (Request.execute_using_pool, "worker/engine/pool.py"): "7979562da58f4266",
    (Request.on_timeout, "worker/engine/pool.py"): "3d26ce896008646d",
    (Request.on_failure, "worker/engine/pool.py"): "21736ec661cd60d7",
    (Request.terminate, "worker/engine/pool.py"): "5ee69325b498e311",
    (Request.__init__, "worker/engine/message_check.py"): "efdf47149cde3635",
    (Context, "worker/engine/message_check.py"): "ba7c12053b42a24f",
    (Consumer.create_task_handler, "worker/engine/celery_consumer.py"): "292c5a681f10ade7",
    (Message.__init__, "worker/broker/connection.py"): "bd56cb3ffa7affcd",
    (KombuConsumer._receive_callback, "worker/engine/celery_consumer.py"): "27e1ae8eba4c10ff",
    (strategy.default, "worker/engine/message_check.py"): "7d90575ada5eb1dc",
    (_LocalStack, "worker/engine/task.py"): "da874df3e07f124f",
    (Task.bind, "worker/engine/task.py"): "b867a0461082e769",
    (KombuConsumer._basic_consume, "worker/engine/queues.py"): "4c92bb712014d4b8",
    (KombuConsumer.consume, "worker/engine/queues.py"): "1dc5d81cbabb8f24",
    (KombuConsumer._consume_queues, "worker/engine/queues.py"): "05ec65932814c751",
    (KombuConsumer.cancel_by_queue, "worker/engine/queues.py"): "8dadbe75f75f2e41",
    (KombuConsumer._receive_callback, "worker/engine/queues.py"): "27e1ae8eba4c10ff",
    (KombuConsumer._add_tag, "worker/engine/queues.py"): "7affe96b0f9e065f",
    (sentry._wrap_tracer, "worker/engine/sentry.py"): "c6638d059bb71ed3",
    (sentry._wrap_task_call, "worker/engine/sentry.py"): "a7142654556393d9",
    (sentry._capture_exception, "worker/engine/sentry.py"): "73b35b0e2b06468e",
    (Channel._basic_publish, "worker/broker/publication.py"): "435fd18a6c885ecc",
    (pyamqp._open_channel, "worker/broker/pyamqp.py"): "687dcff5b356d497",
    (pyamqp._acknowledge, "worker/broker/pyamqp.py"): "720b2fa02c5acd94",
    (pyamqp._reject_as_failed, "worker/broker/pyamqp.py"): "635240b8ce39aa96",
    (Channel._on_basic_cancel, "worker/broker/batch_consumer.py"): "559b06b251cb9c79",
    (Channel._on_close, "worker/broker/pyamqp.py"): "50e3e350819e64dd",
    (Channel._do_revive, "worker/broker/pyamqp.py"): "f110590c0a84fd14",
    (TCPTransport, "worker/broker/pyamqp.py"): "cca97d90e7a1abfd",
    (SSLTransport._write, "worker/broker/pyamqp.py"): "bc47da56ede3957c",
    (_AbstractTransport.write, "worker/broker/pyamqp.py"): "ce237b9ce93f32a9",
    (frame_writer, "worker/broker/pyamqp.py"): "aeb6ed1af3635509",
    (AbstractChannel.dispatch_method, "worker/broker/pyamqp.py"): "ab4ee7a70ede7889",
    (serialization.loads, "worker/broker/pyamqp.py"): "54e9f85c67e08585",
    (serialization.GenericContent._load_properties, "worker/broker/pyamqp.py"): "364e01f6bd530dd4",
    (serialization.decode_properties_basic, "worker/broker/amqp_salvage.py"): "38b3186146c760fa",
}


def fingerprint(thing: Callable[..., object]) -> str:
    """Of its source, as written."""
    return hashlib.sha256(inspect.getsource(thing).encode()).hexdigest()[:16]


@in_one_test
@pytest.mark.parametrize(("thing", "ours"), MIRRORED)
def test_what_the_engine_mirrors_is_unchanged(thing: Callable[..., object], ours: str) -> None:
    """A change upstream is to be compared with our side, and the fingerprint here renewed."""
    name = f"{thing.__module__}.{thing.__qualname__}"
    assert fingerprint(thing) == MIRRORED[thing, ours], (
        f"{name} has changed: read its new source, see what {ours} must do differently, run tests/acceptance/"
        f"test_engine*.py, then put {fingerprint(thing)!r} in its place here"
    )
