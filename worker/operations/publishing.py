"""Events of an operator: built, sealed, signed and published."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tasks.events.drafts import Draft, DraftError, Seal, SealedEvent, finish_draft, read_draft
from tasks.sealing import SealError, SealingKey, seal
from worker import broker
from worker.broker import messages
from worker.broker.publication import PublishError
from worker.broker.publisher import Publisher
from worker.intake import signing
from worker.operations import RefusedRequest
from worker.operations.sealing_keys import sealing_key
from worker.operations.text import counted
from worker.settings import Settings

Sign = Callable[[bytes], dict[str, str]]  # body → the headers that prove who says so
Progress = Callable[[int], object]  # takes how many were just done
BATCH_SIZE: Final = 200  # events confirmed together
MAX_FAULTS: Final = 20  # faulty lines named


@dataclass(frozen=True, slots=True)
class Published:
    """Ids of events: those that the broker confirmed, and why it did not confirm the others."""

    confirmed: list[str]
    failures: Mapping[str, str]


def sealer(settings: Settings, jwks: Path | None = None, kid: str | None = None) -> Seal:
    """Return what seals tokens with the key *kid*, or the first, of *jwks*, or of our own.

    It looks for the key when the first token is to be sealed, because not every event holds one, and raises
    RefusedRequest where there is none.
    """

    @functools.cache
    def key() -> SealingKey:
        try:
            return sealing_key(settings.keys_dir, jwks, kid)
        except SealError as error:
            raise RefusedRequest(str(error)) from None

    return lambda token, provider: seal(token, provider, key())


def complete(draft: Draft, seal: Seal, source: str) -> SealedEvent:
    """Return the event of *draft*, which *source* tells of. Raises RefusedRequest for what the intake would refuse."""
    try:
        return finish_draft(draft, seal, source)
    except DraftError as error:
        raise RefusedRequest(f"nothing was published: {error}") from None


def complete_all(lines: Iterable[str], seal: Seal, source: str, progress: Progress) -> list[SealedEvent]:
    """Return the event in each of *lines* that is not blank. Raises RefusedRequest where one is faulty."""
    events, faults = [], []
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                events.append(finish_draft(read_draft(line), seal, source))
        except DraftError as error:
            faults.append(f"line {number}: {error}")
        progress(1)
    if faults:
        more = [f"and {counted(len(faults) - MAX_FAULTS)} more"] if len(faults) > MAX_FAULTS else []
        raise RefusedRequest("\n".join(["nothing was published", *faults[:MAX_FAULTS], *more]))
    return events


def signer(file: Path | None) -> Sign:
    """Return what signs with the private key in *file*, if there is one. Raises SigningKeyError and OSError."""
    if file is None:
        return lambda _: {}
    key = signing.read_signing_key(file)
    return lambda body: {messages.SIGNATURE: signing.sign(body, key)}


def publish(
    settings: Settings, publisher: Publisher, events: Sequence[SealedEvent], sign: Sign, progress: Progress
) -> Published:
    """Publish *events*, each signed and in the name of the broker's user; *progress* takes how many were just tried."""
    user = broker.user(settings.broker_url.get_secret_value())
    results: list[PublishError | None] = []
    for start in range(0, len(events), BATCH_SIZE):
        batch = events[start : start + BATCH_SIZE]
        messages_ = (messages.event(each.body, each.event_type, headers=sign(each.body)) for each in batch)
        results += publisher.publish([replace(each, user_id=user) for each in messages_])
        progress(len(batch))
    failed = ((event, failure) for event, failure in zip(events, results, strict=True) if failure is not None)
    failures = {event.event_id: str(failure) for event, failure in failed}
    return Published([event.event_id for event in events if event.event_id not in failures], failures)


def generate_signing_key(file: Path, algorithm: str, kid: str | None = None) -> dict[str, Any] | None:
    """Make a signing key in *file*; return the source's `keys`, None of a secret. Raises SigningKeyError, OSError."""
    key = signing.generate_signing_key(kid or file.name.partition(".")[0], algorithm)
    signing.save_signing_key(file, key)
    return None if algorithm == "HS256" else {"keys": [key.as_dict(private=False)]}
