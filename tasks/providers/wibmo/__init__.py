"""Wibmo (Enstage BankEzy): its settings, its kind, and the client of its encrypted token service."""

from tasks.providers.wibmo.provider import INVALIDATE, INVALIDATE_TOKEN, KIND, Wibmo, WibmoSettings

__all__ = ["INVALIDATE", "INVALIDATE_TOKEN", "KIND", "Wibmo", "WibmoSettings"]
