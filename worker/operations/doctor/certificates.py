"""Certificates: for how long they are valid, and why a server's is not trusted."""

import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from worker.operations.doctor.findings import Finding

SOON: Final = 14  # days in which somebody has to renew one

_DAY: Final = 86_400


def validity(check: str, ends: datetime, about: str = "") -> Finding:
    """Whether a certificate that *ends* then is valid, and not to be renewed soon."""
    days = (ends.timestamp() - time.time()) / _DAY
    if days < 0:
        return Finding(check, "failed", f"expired on {ends:%Y-%m-%d}", about=about)
    told = f"valid until {ends:%Y-%m-%d}, {days:.0f} days"
    return Finding(check, "warning" if days < SOON else "ok", told, about=about)


def end_of(certificate: Mapping[str, Any]) -> datetime:
    """When *certificate*, as `ssl` tells it, ceases to be valid."""
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)


def why_refused(error: ssl.SSLError) -> str:
    """Why a handshake failed, in words of OpenSSL's own that name nothing secret."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason or type(error).__name__).replace("_", " ").lower()
