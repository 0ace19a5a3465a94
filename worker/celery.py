"""The entry point of `celery -A worker` and of `revoker worker`; everything else can be imported freely."""

from worker import process_one

process_one.end_at_a_signal()  # what is imported from here on takes a second of CPU

import sys  # noqa: E402

from worker import process  # noqa: E402
from worker.app import create_app  # noqa: E402
from worker.observability import metrics  # noqa: E402
from worker.settings import SettingsError  # noqa: E402

try:
    app = create_app(process.start(name=metrics.WORKER))
except SettingsError as error:
    sys.exit(f"revoker: {error}")

if __name__ == "__main__":
    from celery.bin.celery import celery

    celery.params[0].default = app  # as `app.start` has it, which would show a usage error as a stack trace
    celery.main(prog_name="revoker")
