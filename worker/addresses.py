"""The URLs of broker and ledger, as settings take them. An error never repeats one: it may hold a password."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, SecretStr


def _broker_url(url: SecretStr) -> SecretStr:
    plain = url.get_secret_value()
    if not plain.startswith(("embedded:///", "amqp://", "amqps://")):
        raise ValueError("must start with embedded:///, amqp:// or amqps://")
    if not plain.startswith("embedded:"):
        _nothing_about_tls(plain)
    return url


def _nothing_about_tls(url: str) -> None:
    """Kombu lets a query and a second URL decide about TLS as well: `?ssl=1` alone ends the check of the host name."""
    if "?" in url:
        raise ValueError("must have no query: broker_tls tells what TLS needs")
    if len({each.partition("://")[0] for each in url.split(";")}) > 1:
        raise ValueError("must be amqps:// for every host, or for none")


def _ledger_url(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ValueError("must start with sqlite:/// or postgresql+psycopg://")
    return url


BrokerUrl = Annotated[SecretStr, AfterValidator(_broker_url)]
LedgerUrl = Annotated[SecretStr, AfterValidator(_ledger_url)]
