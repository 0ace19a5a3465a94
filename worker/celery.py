"""The entry point of `celery -A worker`; everything else can be imported freely."""

import sys

from worker.app import create_app
from worker.settings import Settings, SettingsError

try:
    app = create_app(Settings.load())
except SettingsError as error:
    sys.exit(f"revoker: {error}")
