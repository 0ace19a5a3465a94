"""The entry point of `celery -A worker` and of `revoker worker`; everything else can be imported freely."""

import sys

from worker import process
from worker.app import create_app
from worker.settings import SettingsError

try:
    app = create_app(process.start())
except SettingsError as error:
    sys.exit(f"revoker: {error}")

if __name__ == "__main__":
    from celery.bin.celery import celery

    celery.params[0].default = app  # as `app.start` has it, which would show a usage error as a stack trace
    celery.main(prog_name="revoker")
