"""The engine: Celery's consumer inside asyncio, in one thread. Tasks are coroutines, thousands of them wait at once.

`consumer` steps kombu's hub from the event loop, `pool` makes one asyncio task of each request, `tracer` runs the
task as Celery's own tracer would. What they mirror is pinned by a test that fails when Celery changes it.
"""
