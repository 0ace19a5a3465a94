"""What the doctor finds: one line for each check, from a closed list that says what it means and what to do."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

State = Literal["ok", "warning", "failed", "unknown"]


class Check(NamedTuple):
    """What a check finds out, and what to do where it does not find what it should."""

    meaning: str
    remedy: str


_DECLARE: Final = "run `revoker topology declare` as a broker user that may declare"
_DECLARE_ANEW: Final = "let the queue run empty, delete it, and run `revoker topology declare`"
_PRIVATE: Final = "give the file to the user of our processes and set its mode to 0600"

# In the order in which they are printed; docs/doctor.md shows this table.
CHECKS: Final[dict[str, Check]] = {
    "settings": Check(
        "every setting is known, and has a value that can be used",
        "mend the setting that is named; docs/settings.md lists all of them",
    ),
    "broker.connection": Check(
        "the broker can be reached, and takes the login of `broker_url`",
        "mend `broker_url`, the network, or the broker; of an embedded one: `revoker topology declare` makes its file",
    ),
    "broker.tls": Check(
        "an `amqps://` broker shows a certificate that can be trusted, and for some time to come",
        "renew the broker's certificate, or name its authority in `broker_tls.ca_file`",
    ),
    "broker.version": Check(
        "the RabbitMQ is of a version on which our promises are known to hold",
        "upgrade RabbitMQ to a version from 3.10 to 4.3",
    ),
    "broker.alarm": Check(
        "the broker takes messages; short of memory or disk it takes none",
        "give RabbitMQ memory or disk; `rabbitmq-diagnostics alarms` says which. Nothing is lost meanwhile",
    ),
    "broker.exchanges": Check("every exchange is there", _DECLARE),
    "broker.queues": Check("every queue is there", f"{_DECLARE}; what was in a deleted queue is gone"),
    "broker.bindings": Check(
        "every binding is there (embedded broker; AMQP has no question for it, so not on RabbitMQ)", _DECLARE
    ),
    "broker.arguments": Check(
        "exchanges and queues have the arguments that this release declares",
        f"{_DECLARE_ANEW}. A warning: run the doctor as a broker user that may declare",
    ),
    "broker.dead_letters": Check(
        "queues hand what they give up to the dead letters, and refuse what they have no room for",
        f"{_DECLARE_ANEW}. Until then a message that crashes its process may be lost",
    ),
    "broker.consumers": Check(
        "what waits in the queues of events and calls is taken by somebody (RabbitMQ)",
        "is the process running? A held provider's calls wait on purpose: `revoker provider list`",
    ),
    "broker.permissions": Check(
        "the broker user may do the whole job of a process",
        "import what `revoker topology permissions` prints, or give the user the rights that are named",
    ),
    "ledger.connection": Check(
        "the ledger can be reached and opened",
        "mend `ledger_url`, the network or the server; put a lost file's backup in its place, or make a first one: "
        "`revoker ledger upgrade`",
    ),
    "ledger.schema": Check(
        "the ledger's schema is that of this release",
        "run `revoker ledger upgrade`; where the ledger is ahead: upgrade what runs here, it is of an older release",
    ),
    "ledger.clock": Check("the clock of PostgreSQL agrees with ours", "set the clocks right (NTP)"),
    "ledger.lag": Check(
        "what was done is soon on record: few messages wait for the recorder",
        "is `revoker recorder` running? `revoker explain` does not know yet what waits there",
    ),
    "provider.dns": Check(
        "the names of the provider's hosts resolve", "mend the region or base URL in the settings, or the resolver"
    ),
    "provider.connection": Check(
        "the provider's hosts accept connections", "mend the base URL in the settings, the firewall or the proxy"
    ),
    "provider.tls": Check(
        "the provider shows a certificate that can be trusted, and for some time to come",
        "tell the vendor; behind a proxy of yours name its authority in the provider's `tls.ca_file`",
    ),
    "provider.credential": Check(
        "the provider takes our login, where it has one",
        "write the right secret where the worker reads it (docs/running.md, Rotating keys)",
    ),
    "provider.permission": Check(
        "our role may revoke all tokens of a user (Genesys Cloud, where it tells; else only a revocation does)",
        "have the permission that is named granted to the role of our OAuth client (docs/how-to-providers.md)",
    ),
    "provider.clock": Check("the clock of the provider agrees with ours", "set the clocks right (NTP)"),
    "keys.sealing": Check(
        "each private key of `keys_dir` opens what its public half seals",
        "put the right keys there, mode 0600; `revoker keys generate` makes a first one",
    ),
    "keys.signing": Check(
        "the signing keys of each source can be read, are public halves or private to us, and nobody else writes them",
        "mend the file that the source's `keys` names; until then that source's events become dead letters",
    ),
    "sources": Check(
        "events of somebody can be let in, and by a proof that this broker can give",
        "name the source and its proof in `sources`; see docs/producers.md, Who may say what",
    ),
    "door.secrets": Check(
        "the secrets that a door's senders are proved by can be read, and by nobody else",
        "write one secret a line, of 16 characters or more, into the file that is named, and set its mode to 0600",
    ),
    "door.keys": Check(
        "the public keys of a door's issuer were read lately",
        "mend `jwks_uri` or `jwks_file` of the door, or the way there; until then its senders are told to come again",
    ),
    "door.leniencies": Check(
        "a door lets in nothing that the standard refuses",
        "turn the settings off that are named, unless the sender cannot do otherwise",
    ),
    "door.events": Check(
        "when an event came in by a door last",
        "where one should have come: does the sender reach the door, and what does it say to it?",
    ),
    "directory.connection": Check(
        "the server of a directory that is followed shows a certificate that can be trusted, and takes our login",
        "mend `url`, `tls`, `bind_dn` or `bind_password_file` of the door, or the way there",
    ),
    "directory.people": Check(
        "people are found there, and who each is and whether they are disabled can be read",
        "mend `base` and `filter`, so that they find people alone, or let `bind_dn` read the attributes that "
        "docs/doors.md names; where some people are disabled and 0 is told, it may not read their lock",
    ),
    "directory.changes": Check(
        "it tells of changes at once",
        "give the database of OpenLDAP the overlay syncprov, 389 DS its plugin Content Synchronization; or set `way` "
        "to `poll`",
    ),
    "directory.held": Check(
        "what it told is taken, and waits for no operator",
        "is `revoker ldap` running? `revoker ldap list`; see the runbook "
        "[RevokerFloodWaiting](runbooks.md#revokerfloodwaiting)",
    ),
    "door.look": Check(
        "the source of a door that is swept was looked at lately, and its push missed nothing for a day",
        "is `revoker sweep` running, and does the source let us in? What the push missed has come in by the look",
    ),
    "door.signals": Check(
        "the signals that a receiver polls here are fetched within the hour",
        "does the receiver poll, and with the secret in `bearer_file`? Where none is fetched, `limit` fills up",
    ),
    "door.outbox": Check(
        "events that came in by a door are with the broker, and wait in no outbox",
        "is `revoker door` or `revoker sweep` running, and can it reach the broker? Nothing is lost meanwhile",
    ),
    "files.modes": Check("nobody else reads our secrets, nor writes what we read", _PRIVATE),
    "files.certificates": Check(
        "our own client certificates are valid for some time to come", "renew them under the same path"
    ),
    "disk.room": Check(
        "the disks of the embedded broker and of an SQLite ledger have room",
        "make room; while a disk is full nothing is taken in, and nothing is lost",
    ),
    "redaction.logs": Check("a token that is planted in a log line comes out masked", "report the bug"),
    "redaction.reports": Check("a token that is planted in an error report comes out masked", "report the bug"),
    # From here on of the files of `--against`, and of nothing else.
    "deployment.file": Check(
        "the file can be read, and starts a process of ours", "name the file or folder that starts our processes"
    ),
    "deployment.grace": Check(
        "a process that is asked to stop has the time for it: calls in flight, a broker that has gone silent, a margin",
        "set `terminationGracePeriodSeconds`, or `stop_grace_period`, to what is named",
    ),
    "deployment.probes": Check(
        "a loop that stands still is restarted, and nothing is because the broker is away",
        "let startup and liveness probe ask /livez, and the readiness probe /readyz",
    ),
    "deployment.user": Check(
        "no process runs as root, or with privileges", "name a user that is not root, and set `runAsNonRoot: true`"
    ),
    "deployment.root": Check(
        "no process can write to its root", "make the root read-only, and give it a /tmp in memory"
    ),
    "deployment.secrets": Check(
        "secrets are files that the process alone can read, and no variables",
        "give them as files in the folder REVOKER_SECRETS_DIR; in a pod with `defaultMode: 0400` and `fsGroup`",
    ),
    "deployment.monitoring": Check(
        "metrics and health are served where somebody asks for them", "set REVOKER_MONITORING__HOST to 0.0.0.0"
    ),
    "deployment.permissions": Check(
        "each process is a broker user of its own",
        "give each process a `broker_url` of its own, whose user may do its job only (docs/running.md, Permissions)",
    ),
    "deployment.autoscaling": Check(
        "what starts more workers knows holds, and never ends the last one",
        "ask Prometheus for what waits, without providers that are held (deploy/kubernetes/autoscaling)",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: its name in CHECKS, what it is *about* where there are several, and no secret."""

    check: str
    state: State
    detail: str
    remedy: str = ""  # better than the one of CHECKS
    about: str = ""  # a provider, a source, a host

    @property
    def advice(self) -> str:
        """What to do about it; empty where all is well."""
        return "" if self.state == "ok" else self.remedy or CHECKS[self.check].remedy

    @property
    def text(self) -> str:
        """What was found, and about what."""
        return f"{self.about}: {self.detail}" if self.about else self.detail


def is_healthy(findings: "list[Finding]", *, strict: bool = False) -> bool:
    """Whether nothing failed and nothing stayed unknown; *strict*: and nothing is a warning either."""
    allowed = {"ok"} if strict else {"ok", "warning"}
    return all(each.state in allowed for each in findings)
