"""The settings: read once, refused by name, never shown with a value."""

from worker.settings.files import CONFIG_FILE, SECRETS_DIR, config_file
from worker.settings.names import PREFIX
from worker.settings.sections import HoldSettings, MaxAgeSettings, RetrySettings, WorkerSettings
from worker.settings.settings import Settings, SettingsError

__all__ = [
    "CONFIG_FILE",
    "PREFIX",
    "SECRETS_DIR",
    "HoldSettings",
    "MaxAgeSettings",
    "RetrySettings",
    "Settings",
    "SettingsError",
    "WorkerSettings",
    "config_file",
]
