"""Wibmo: its settings and its kind; the client of its token service is imported with the first instance."""

from tasks.providers.wibmo.kind import INVALIDATE_TOKEN, KIND, WibmoSettings

__all__ = ["INVALIDATE_TOKEN", "KIND", "WibmoSettings"]
