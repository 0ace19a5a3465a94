"""A provider: its hosts, their certificates, our credential there, its clock. Logs in, and revokes nothing."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import SplitResult, urlsplit

from tasks.outcome import CredentialFault, Settled
from tasks.providers import ProviderSettings
from tasks.providers.oauth import LOGGED_IN
from worker.operations import providers
from worker.operations.doctor.certificates import end_of, validity, why_refused
from worker.operations.doctor.clocks import skew_finding
from worker.operations.doctor.findings import Finding
from worker.settings import Settings

CONNECT_TIMEOUT: Final = 5.0  # seconds for each host, and for each of its answers
DATE_PRECISION: Final = 1.0  # seconds, of the header `Date` (RFC 9110 section 5.6.7)


def examine(settings: Settings, name: str) -> Iterator[Finding]:
    """The findings about provider instance *name*. What cannot be reached is not asked any further."""
    provider = settings.providers[name]
    found = [each for url in provider.base_urls for each in _reached(urlsplit(url), provider, name)]
    if faults := [each for each in found if each.state == "failed"]:
        yield faults[0]
        return
    hosts = ", ".join(dict.fromkeys(str(urlsplit(url).hostname) for url in provider.base_urls))
    yield Finding("provider.dns", "ok", hosts, about=name)
    yield Finding("provider.connection", "ok", hosts, about=name)
    yield from _worst(found)
    credential = [*_credential(settings, name)]
    yield from credential
    if credential[0].state == "ok":
        yield from _clock(urlsplit(provider.api), provider, name)


def _reached(url: SplitResult, provider: ProviderSettings, name: str) -> Iterator[Finding]:
    """Why the host of *url* cannot be spoken to; else, of one with TLS, for how long its certificate is valid."""
    host = str(url.hostname)
    try:
        with closing(_opened(url, provider)) as connection:
            shown = connection.sock.getpeercert() if isinstance(connection.sock, ssl.SSLSocket) else None
    except socket.gaierror:
        yield Finding("provider.dns", "failed", f"{host} does not resolve", about=name)
    except ssl.SSLError as error:
        yield Finding("provider.tls", "failed", f"{host}: {why_refused(error)}", about=name)
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or ("no answer in time" if isinstance(error, TimeoutError) else error)
        yield Finding("provider.connection", "failed", f"{host}: {cause}", about=name)
    else:
        if shown:
            yield validity("provider.tls", end_of(shown), name)


def _opened(url: SplitResult, provider: ProviderSettings) -> HTTPConnection:
    """A connection to the host of *url*, TLS included. Raises OSError, and ValueError for an unfit file of its TLS."""
    host = str(url.hostname)
    if url.scheme == "https":
        made: HTTPConnection = HTTPSConnection(host, url.port, timeout=CONNECT_TIMEOUT, context=provider.tls.context())
    else:
        made = HTTPConnection(host, url.port, timeout=CONNECT_TIMEOUT)
    try:
        made.connect()
    except OSError:
        made.close()
        raise
    return made


def _worst(found: list[Finding]) -> list[Finding]:
    """Of the certificates of several hosts the first that is to be renewed, else the first."""
    return sorted(found, key=lambda each: each.state == "ok")[:1]


def _credential(settings: Settings, name: str) -> Iterator[Finding]:
    """Whether it takes our login; and whether our role has the permission that it needs, where the provider tells."""
    [checked] = providers.check(settings, [name])
    outcome, missing = checked.outcome, checked.outcome.detail.get("missing")
    if isinstance(outcome, Settled) or missing:
        evidence = outcome.evidence if isinstance(outcome, Settled) else LOGGED_IN
        yield Finding("provider.credential", "ok", evidence, about=name)
    else:
        remedy = "" if isinstance(outcome, CredentialFault) else "wait until it is well; else ask the vendor"
        yield Finding("provider.credential", "failed", providers.outcome_in_words(outcome), remedy, name)
    if granted := outcome.detail.get("granted"):
        yield Finding("provider.permission", "ok", f"{granted} is granted", about=name)
    if missing:
        yield Finding("provider.permission", "failed", f"{missing} is missing", about=name)


def _clock(url: SplitResult, provider: ProviderSettings, name: str) -> Iterator[Finding]:
    """By the header `Date` of whatever it answers to a HEAD of its base URL; without one nothing is known."""
    try:
        with closing(_opened(url, provider)) as connection:
            before = datetime.now(UTC)
            connection.request("HEAD", url.path or "/", headers={"User-Agent": "revoker", "Accept": "*/*"})
            answer = connection.getresponse()
            asked = (before, datetime.now(UTC))
            theirs = parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
    except (OSError, HTTPException, ValueError, TypeError):
        yield Finding("provider.clock", "warning", "it tells no time", "none, where its other answers are well", name)
    else:
        yield skew_finding("provider.clock", theirs, asked, name, DATE_PRECISION)
