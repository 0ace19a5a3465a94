"""RabbitMQ: reached, of which version, with our topology, with the rights of a process. Nothing is changed there."""

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Final

from worker import broker
from worker.broker import inspection
from worker.broker.inspection import Inspection, NotLetIn
from worker.broker.publication import BROKER_ERRORS
from worker.broker.rights import Rights, needed_by
from worker.operations.doctor import topology
from worker.operations.doctor.certificates import end_of, validity, why_refused
from worker.operations.doctor.findings import Finding
from worker.settings import Settings
from worker.settings.urls import masked_url

OLDEST: Final = (3, 10)  # the first with x-dead-letter-strategy: https://www.rabbitmq.com/docs/quorum-queues
NEWEST: Final = (4, 3)

# What a version changes for us, the first that fits from above: the delivery limit
# (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling), transient queues
# (https://www.rabbitmq.com/docs/deprecated-features-list).
_CHANGES: Final[Mapping[tuple[int, int], str]] = {
    (4, 3): "what is given back untried counts no delivery; a Celery older than 5.7 at the door is cut off, because "
    "its queues are transient",
    (4, 0): "quorum queues give up after 20 deliveries by default; ours say their own limit",
    (3, 10): "what is given back counts as a delivery",
}


def examine(settings: Settings, process: str | None) -> Iterator[Finding]:
    """The findings about each host of `broker_url`, then about what the first that answers holds."""
    reached = ""
    for url in settings.broker_url.get_secret_value().split(";"):
        found = list(_host(url, settings))
        yield from found
        reached = reached or (url if found[0].state == "ok" else "")
    if reached:
        with inspection.inspecting(reached, settings.broker_tls) as inspected:
            yield from topology.of_parts(list(inspection.parts_of(inspected, settings.providers)))
        yield from _rights(reached, settings, process)


def _host(url: str, settings: Settings) -> Iterator[Finding]:
    try:
        with inspection.inspecting(url, settings.broker_tls) as inspected:
            release, certificate = inspected.release, inspected.certificate
    except (NotLetIn, *BROKER_ERRORS) as error:
        yield _refusal(error, url)
        return
    yield Finding("broker.connection", "ok", f"as {broker.user(url)}", about=masked_url(url))
    if certificate:
        yield validity("broker.tls", end_of(certificate))
    yield version_finding(release)


def version_finding(release: str) -> Finding:
    """What RabbitMQ *release* means for us."""
    match = re.match(r"(\d+)\.(\d+)", release)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    if version < OLDEST:
        return Finding("broker.version", "failed", f"{release or 'unknown'}: dead letters may be lost before 3.10")
    change = next(text for since, text in _CHANGES.items() if version >= since)
    if version > NEWEST:
        return Finding("broker.version", "warning", f"{release}: newer than what this release is known to run on")
    return Finding("broker.version", "ok", f"RabbitMQ {release}: {change}")


def _refusal(error: Exception, url: str) -> Finding:
    check, detail = "broker.connection", f"no answer ({type(error).__name__})"
    match error:
        case ssl.SSLError():
            check, detail = "broker.tls", why_refused(error)
        case NotLetIn():
            detail = str(error)
        case socket.gaierror():
            detail = "the host's name does not resolve"
        case OSError() if error.strerror:
            detail = error.strerror
    return Finding(check, "failed", detail, about=masked_url(url))


def _rights(url: str, settings: Settings, process: str | None) -> Iterator[Finding]:
    needs = needed_by(settings.providers)
    jobs = {process: needs[process]} if process else needs
    try:
        with inspection.inspecting(url, settings.broker_tls) as inspected:
            lacks = {name: _lack(inspected, need) for name, need in jobs.items()}
    except inspection.Blocked:
        yield Finding("broker.alarm", "failed", "it takes no messages: it is short of memory or of disk")
        return
    yield Finding("broker.alarm", "ok", "it takes messages")
    yield rights_finding(str(broker.user(url)), jobs, lacks)


def _lack(inspected: Inspection, need: Rights) -> Rights:
    """Those of *need* that the connected user does not have."""
    return Rights(
        [name for name in need.write if not inspection.may_write(inspected, name)],
        [name for name in need.read if not inspection.may_read(inspected, name)],
    )


def rights_finding(user: str, needs: Mapping[str, Rights], lacks: Mapping[str, Rights]) -> Finding:
    """Whether *user* may do the whole job of each process of *needs* whose queues, or some of them, it may read."""
    jobs = [name for name, need in needs.items() if len(lacks[name].read) < len(need.read)] or list(needs)
    short = next((name for name in jobs if lacks[name].write or lacks[name].read), None)
    if short is None:
        return Finding("broker.permissions", "ok", f"{user} may do the job of {', '.join(jobs)}")
    rights = [f"write {part}" for part in lacks[short].write] + [f"read {part}" for part in lacks[short].read]
    return Finding("broker.permissions", "failed", f"{user} lacks for {short}: {topology.named(rights)}")
