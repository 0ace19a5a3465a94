"""The entry point of `celery -A worker`; everything else can be imported freely."""

from worker.app import create_app
from worker.settings import Settings

app = create_app(Settings.load())
