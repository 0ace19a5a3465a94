"""Finbourne (LUSID): its settings and its kind; the client of its identity API is imported with the first instance."""

from tasks.providers.finbourne.kind import INVALIDATE_TOKEN, KIND, FinbourneSettings

__all__ = ["INVALIDATE_TOKEN", "KIND", "FinbourneSettings"]
