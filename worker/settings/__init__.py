"""The settings: read once, refused by name, never shown with a value."""

from worker.settings.settings import Settings, SettingsError

__all__ = ["Settings", "SettingsError"]
