"""What mends each reason of a dead letter: one line for people, its runbook, and whether a replay is of any use.

This is the only place that says it in the code; docs/runbooks.md says it at length, section by section.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from tasks.events import RejectionCode
from tasks.outcome import Reason, event_reason
from tasks.sealing import SealProblem

RUNBOOKS: Final = "docs/runbooks.md"
_DROPPED: Final = str.maketrans("", "", ".<>")  # of a heading's text, where its anchor is made of it
_4XX: Final = "http.4xx.<name>"


class Replay(Enum):
    """What a replay would come to once the remedy was applied."""

    CANARY = auto()  # it may well succeed: one first, then the rest
    SLOWLY = auto()  # likewise, and at a low rate
    LOOK_FIRST = auto()  # it may hit somebody who was let in again: ask, then `--force`
    USELESS = auto()  # it dies again as it is, or is refused: the producer sends the event anew
    RELEASE = auto()  # it is refused: `revoker flood release` is the way


class Proof(Enum):
    """What can be looked at to find out whether a remedy was applied, without revoking anything."""

    NETWORK = auto()  # names, connections and certificates of the provider
    ANSWER = auto()  # whether it answers a harmless request
    CREDENTIAL = auto()  # whether it takes our login, where it has one
    PERMISSION = auto()  # what it says of our role, where it says anything
    REPLY = auto()  # the answer to a harmless request: a failure disproves, a success proves nothing
    KEY = auto()  # the sealing keys in force
    CONFIGURED = auto()  # the providers in the settings


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a remedy is in force now; *holds* is None where nobody can tell without a revocation. *told* is why."""

    holds: bool | None
    told: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do about some reasons."""

    do: str
    replay: Replay = Replay.CANARY
    proof: Proof | None = None
    section: str = ""  # the runbook's anchor

    @property
    def runbook(self) -> str:
        """Where it is told at length."""
        return f"{RUNBOOKS}#{self.section}"

    def command(self, cause: str) -> str:
        """What to type for *cause* once it is mended; empty where nothing but a new event helps."""
        match self.replay:
            case Replay.CANARY:
                return f"revoker dlq replay --cause {cause} --canary 1 --stop-after-failures 3"
            case Replay.SLOWLY:
                return f"revoker dlq replay --cause {cause} --canary 1 --rate 30/m"
            case Replay.LOOK_FIRST:
                return f"revoker dlq replay --cause {cause} --force --dry-run"
            case Replay.RELEASE:
                return "revoker flood list"
            case Replay.USELESS:
                return ""


def _of_code(code: RejectionCode) -> str:
    return event_reason(code.value)


# One for each section of the runbook, by the reasons in its heading.
_SECTIONS: Final[Mapping[tuple[str, ...], Remedy]] = {
    (Reason.HTTP_5XX,): Remedy(
        "wait until it is well; if one person's call alone fails, give the vendor the correlation id",
        proof=Proof.ANSWER,
    ),
    (Reason.HTTP_429,): Remedy("lower rate_limit, or have the vendor raise theirs", Replay.SLOWLY, proof=Proof.REPLY),
    (Reason.HTTP_3XX,): Remedy("mend base_url, api_base_url or region, and restart the worker", proof=Proof.REPLY),
    (_4XX,): Remedy("ask the vendor what changed, with the code and the correlation id", proof=Proof.REPLY),
    (Reason.NET_TIMEOUT, Reason.NET_CONNECT, Reason.NET_DNS): Remedy(
        "mend the network, the name server or the base URL", proof=Proof.NETWORK
    ),
    (Reason.NET_TLS,): Remedy(
        "mend tls in the settings, or tell the vendor; what nobody can explain, tell security first",
        proof=Proof.NETWORK,
    ),
    (Reason.AUTH_UNAUTHORIZED,): Remedy(
        "put the right credential in place (api_key, client_secret); no restart is needed", proof=Proof.CREDENTIAL
    ),
    (Reason.AUTH_FORBIDDEN,): Remedy(
        "grant the permission that the operation needs (Genesys: oauth:token:delete)", proof=Proof.PERMISSION
    ),
    (Reason.CRYPTO_SEAL,): Remedy("bring the key back (revoker keys restore, or from the backup)", proof=Proof.KEY),
    (Reason.CRYPTO_CIPHER,): Remedy("mend cipher in the settings, and restart the worker"),
    (Reason.PROVIDER_RESCODE,): Remedy(
        "ask the vendor what the code means; if it means success, add it to success_codes", proof=Proof.REPLY
    ),
    (Reason.PROVIDER_BAD_REPLY,): Remedy(
        "mend the base URL or the cipher, or find the gateway in between", proof=Proof.REPLY
    ),
    (Reason.PROVIDER_NOT_FOUND,): Remedy(
        "set the right region and organization; discard only users who are certainly deleted", proof=Proof.REPLY
    ),
    (Reason.PROVIDER_NO_ENDPOINT,): Remedy("mend the base URL, and restart the worker", proof=Proof.REPLY),
    (Reason.PROVIDER_IN_PROGRESS,): Remedy(
        "see what it has not ended (dlq list of its calls); ask the vendor what holds it up", proof=Proof.ANSWER
    ),
    (Reason.ROUTE_UNRESOLVABLE,): Remedy(
        "end the sessions in the provider's console; the producer sends accounts or sessions", Replay.USELESS
    ),
    (Reason.ROUTE_UNKNOWN_PROVIDER,): Remedy(
        "configure it and restart intake and worker, or tell the producer the right name", proof=Proof.CONFIGURED
    ),
    (Reason.REGISTRY_FULL,): Remedy(
        "find out whose sessions are never ended, or raise registry.max_of_person or registry.max_sessions"
    ),
    (Reason.REGISTRY_TOO_LONG,): Remedy("raise registry.max_days, or have the producer state the true expires_at"),
    (Reason.REGISTRY_UNREADABLE,): Remedy(
        "end the person's sessions in the provider's console; find out who changed the ledger's rows"
    ),
    (Reason.BUDGET_EXHAUSTED,): Remedy("mend what held the provider; the last refusal stands in dlq show"),
    (Reason.WORKER_LOST,): Remedy("report the bug, with the trace and the dead letter's id"),
    (Reason.BROKER_DELIVERY_LIMIT,): Remedy("find out why workers restart: give them memory, or report the bug"),
    (Reason.BROKER_EXPIRED, Reason.BROKER_MAXLEN): Remedy(
        "take TTL and length limits off our queues; producers set no expiration"
    ),
    (Reason.BROKER_REJECTED,): Remedy("find out who else reads our queues, take the permission away, tell security"),
    (Reason.RECORD_INVALID,): Remedy(
        "upgrade the recorder first, or find out who else writes its queues; of ours, report the bug", Replay.USELESS
    ),
    (Reason.GUARD_FLOOD,): Remedy("ask the owner of the source, then release or discard the flood", Replay.RELEASE),
    (
        Reason.TASK_UNKNOWN,
        Reason.TASK_EMBEDDED,
        Reason.TASK_INVALID_HEADER,
        Reason.TASK_INVALID_ARGUMENT,
        Reason.TASK_MALFORMED_JSON,
        Reason.TASK_NOT_JSON,
        Reason.TASK_TOO_LARGE,
    ): Remedy("find out who writes the task queues, take the permission away, tell security", Replay.USELESS),
    (_of_code(RejectionCode.ACCESS_DENIED),): Remedy(
        "mend sources, or the producer's key; of an unknown source, take the permission away"
    ),
    (_of_code(RejectionCode.PLAINTEXT_TOKEN),): Remedy(
        "end that session in the provider's console now: its token is leaked", Replay.USELESS
    ),
    (
        _of_code(RejectionCode.TOO_LARGE),
        _of_code(RejectionCode.MALFORMED_JSON),
        _of_code(RejectionCode.NOT_CLOUDEVENTS),
        _of_code(RejectionCode.UNSUPPORTED_TYPE),
        _of_code(RejectionCode.INVALID_REQUEST),
    ): Remedy("tell the owner of the source, with code and pointer", Replay.USELESS),
    (_of_code(RejectionCode.INVALID_TIME),): Remedy("set the clocks right, ours or theirs"),
    (_of_code(RejectionCode.STALE),): Remedy(
        "ask the source; if it is still meant, the producer sends it under a new id, with today's time",
        Replay.LOOK_FIRST,
    ),
    (_of_code(RejectionCode.ID_CONFLICT),): Remedy(
        "tell the source that ids must be unique; it sends this one under an id of its own", Replay.LOOK_FIRST
    ),
    (_of_code(RejectionCode.NO_REGISTRY),): Remedy(
        "turn the session registry on (registry.enabled), or have the source list the sessions that end"
    ),
}


def _in(section: tuple[str, ...], remedy: Remedy) -> Remedy:
    """*remedy* with the anchor that GitHub makes of a heading with these reasons."""
    return replace(remedy, section="-".join(str(reason).translate(_DROPPED) for reason in section))


REMEDIES: Final[Mapping[str, Remedy]] = {
    str(reason): _in(section, remedy) for section, remedy in _SECTIONS.items() for reason in section
}
_UNNAMED: Final = Remedy("look at one of them: revoker dlq show", section="dead-letters-by-reason")


def remedy_for(reason: str, detail: Mapping[str, str]) -> Remedy:
    """What mends *reason*, as the *detail* of a dead letter narrows it down.

    What is wrong with a sealed token may be nothing that a key mends; a spent budget asks for the remedy of whatever
    held its provider.
    """
    found = REMEDIES.get(_4XX if reason.startswith("http.4xx.") else reason, _UNNAMED)
    if reason == Reason.CRYPTO_SEAL and detail.get("problem") not in {None, SealProblem.UNKNOWN_KEY}:
        anew = "the producer seals the token anew, under a new event id"
        return replace(found, do=anew, replay=Replay.USELESS, proof=None)
    if reason == Reason.BUDGET_EXHAUSTED and "last" in detail:
        held_for = remedy_for(detail["last"], {})
        return replace(found, do=f"held for {detail['last']}: {held_for.do}", proof=held_for.proof)
    return found
