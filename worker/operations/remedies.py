"""What mends each reason of a dead letter: one line for people, its runbook, and whether a replay is of any use.

This is the only place that says it in the code; docs/runbooks.md says it at length, section by section.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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


class Test(Enum):
    """What can be looked at to find out whether a remedy was applied."""

    __test__ = False  # no test of pytest

    NETWORK = auto()  # names, connections and certificates of the provider: proves it
    PROVIDER = auto()  # what the provider answers to a harmless request: disproves it, and proves nothing
    KEY = auto()  # the sealing keys in force: proves it
    CONFIGURED = auto()  # the providers in the settings: proves it


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do about some reasons."""

    do: str
    replay: Replay = Replay.CANARY
    test: Test | None = None
    section: str = ""  # the runbook's anchor

    @property
    def runbook(self) -> str:
        """Where it is told at length."""
        return f"{RUNBOOKS}#{self.section}"

    def command(self, cause: str) -> str:
        """What to type for *cause* once it is mended; empty where nothing but a new event helps."""
        match self.replay:
            case Replay.CANARY:
                return f"revoker dlq replay --cause {cause} --canary 1"
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
        "wait until the provider is well; one person only: give the vendor the correlation id", test=Test.PROVIDER
    ),
    (Reason.HTTP_429,): Remedy(
        "lower rate_limit, or ask the vendor for a higher limit", Replay.SLOWLY, test=Test.PROVIDER
    ),
    (Reason.HTTP_3XX,): Remedy("mend base_url, api_base_url or region, and restart the worker", test=Test.PROVIDER),
    (_4XX,): Remedy("ask the vendor what this code means, with the correlation id", test=Test.PROVIDER),
    (Reason.NET_TIMEOUT, Reason.NET_CONNECT, Reason.NET_DNS): Remedy(
        "mend the network, the name server or the base URL", test=Test.NETWORK
    ),
    (Reason.NET_TLS,): Remedy(
        "mend the provider's tls, or tell the vendor; a certificate that nobody can explain: tell security",
        test=Test.NETWORK,
    ),
    (Reason.AUTH_UNAUTHORIZED,): Remedy("put the right api_key in place; no restart is needed", test=Test.PROVIDER),
    (Reason.AUTH_FORBIDDEN,): Remedy(
        "grant the permission that the operation needs (Genesys: oauth:token:delete)", test=Test.PROVIDER
    ),
    (Reason.CRYPTO_SEAL,): Remedy("put the sealing key back; sealed wrongly: the producer seals anew", test=Test.KEY),
    (Reason.CRYPTO_CIPHER,): Remedy("mend cipher in the settings, and restart the worker"),
    (Reason.PROVIDER_RESCODE,): Remedy(
        "ask the vendor what the code means; if it means success, add it to success_codes", test=Test.PROVIDER
    ),
    (Reason.PROVIDER_BAD_REPLY,): Remedy(
        "mend the base URL or the cipher, or look for a gateway in between", test=Test.PROVIDER
    ),
    (Reason.PROVIDER_NOT_FOUND,): Remedy(
        "is it the right region and organization? Discard only users who are certainly deleted", test=Test.PROVIDER
    ),
    (Reason.PROVIDER_NO_ENDPOINT,): Remedy("mend the base URL, and restart the worker", test=Test.PROVIDER),
    (Reason.ROUTE_UNRESOLVABLE,): Remedy(
        "end the sessions in the provider's console; the producer sends accounts or sessions", Replay.USELESS
    ),
    (Reason.ROUTE_UNKNOWN_PROVIDER,): Remedy(
        "configure the provider and restart intake and worker, or tell the producer", test=Test.CONFIGURED
    ),
    (Reason.BUDGET_EXHAUSTED,): Remedy(
        "mend what held the provider; the last refusal stands in dlq show", test=Test.PROVIDER
    ),
    (Reason.WORKER_LOST,): Remedy("report the bug with the trace of the worker's log; replay after the fix"),
    (Reason.BROKER_DELIVERY_LIMIT,): Remedy("find out why workers restart; then one id at a time"),
    (Reason.BROKER_EXPIRED, Reason.BROKER_MAXLEN): Remedy("take the TTL and length limits off our queues"),
    (Reason.BROKER_REJECTED,): Remedy("find out who else reads our queues, take the permission away, tell security"),
    (Reason.RECORD_INVALID,): Remedy(
        "upgrade the recorder first; publish anew what explain does not know", Replay.USELESS
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
        "mend the source's entry or the producer's key; of a source that nobody knows: it is an attack"
    ),
    (_of_code(RejectionCode.PLAINTEXT_TOKEN),): Remedy(
        "the token is leaked: end that session in the provider's console now", Replay.USELESS
    ),
    (
        _of_code(RejectionCode.TOO_LARGE),
        _of_code(RejectionCode.MALFORMED_JSON),
        _of_code(RejectionCode.NOT_CLOUDEVENTS),
        _of_code(RejectionCode.UNSUPPORTED_TYPE),
        _of_code(RejectionCode.INVALID_REQUEST),
    ): Remedy(
        "tell the owner of the source, with code and pointer; they send it right, under a new id", Replay.USELESS
    ),
    (_of_code(RejectionCode.INVALID_TIME),): Remedy("set the clocks right, ours or theirs"),
    (_of_code(RejectionCode.STALE),): Remedy(
        "ask the source whether it is still meant; an old event may hit somebody who is back", Replay.LOOK_FIRST
    ),
    (_of_code(RejectionCode.ID_CONFLICT),): Remedy(
        "tell the source that its ids must be unique; it sends the event under another id", Replay.LOOK_FIRST
    ),
}


def _in(section: tuple[str, ...], remedy: Remedy) -> Remedy:
    """*remedy* with the anchor that GitHub makes of a heading with these reasons."""
    anchor = "-".join(str(reason).translate(_DROPPED) for reason in section)
    return Remedy(remedy.do, remedy.replay, remedy.test, anchor)


REMEDIES: Final[Mapping[str, Remedy]] = {
    str(reason): _in(section, remedy) for section, remedy in _SECTIONS.items() for reason in section
}
_UNNAMED: Final = Remedy("look at one of them: revoker dlq show", section="dead-letters-by-reason")


def remedy_for(reason: str, problem: str | None = None) -> Remedy:
    """What mends *reason*; a *problem* of its sealing that no key mends makes a replay useless."""
    found = REMEDIES.get(_4XX if reason.startswith("http.4xx.") else reason, _UNNAMED)
    if reason == Reason.CRYPTO_SEAL and problem not in {None, SealProblem.UNKNOWN_KEY}:
        return Remedy("the producer seals the token anew, under a new event id", Replay.USELESS, None, found.section)
    return found
