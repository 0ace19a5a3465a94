"""The floor: bare aio-pika and aiohttp, no framework; plain, lean, or lean on uvloop."""

import asyncio
import gc
import os

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from calling import BROKER, IN_FLIGHT, QUEUE, Caller, read, run

STYLE = os.environ["BENCH_STYLE"]
caller = Caller(lean=STYLE != "plain")


async def on_message(message: AbstractIncomingMessage) -> None:
    """Make one provider call, then acknowledge it."""
    await caller.call(read(message.body))
    await message.ack()


async def main() -> None:
    """Consume until killed."""
    connection = await aio_pika.connect(BROKER)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=IN_FLIGHT)
    queue = await channel.declare_queue(QUEUE, durable=True)
    if STYLE != "plain":
        gc.collect()
        gc.freeze()
    await queue.consume(on_message)
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(main, uvloop=STYLE == "uvloop")
