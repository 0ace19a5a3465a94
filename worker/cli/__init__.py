"""The command line `revoker`: one tree, whose parts are imported when they are used, so that `--help` is fast."""

from worker.cli.tree import Commands

main = Commands(
    "revoker",
    help="Session ended or user disabled: revoke the tokens at every provider, and prove it.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    parts={
        "init": ("worker.cli.init:init", "From nothing to a checked configuration: secrets, keys, broker users"),
        "run": ("worker.cli.processes:run", "Everything on this machine, with sample events, to watch it work"),
        "intake": ("worker.cli.processes:intake", "Process: take in events, publish provider calls"),
        "worker": ("worker.cli.processes:worker", "Process: make the provider calls"),
        "recorder": ("worker.cli.processes:recorder", "Process: write outcomes and dead letters into the ledger"),
        "door": ("worker.cli.processes:door", "Process: what directories and identity providers send comes in here"),
        "sweep": (
            "worker.cli.processes:sweep",
            "Process: looks at the sources of doors for what they did not push",
        ),
        "ldap": (
            "worker.cli.ldap:ldap",
            "Process: the changes of LDAP directories are read here; those that wait for you",
        ),
        "console": (
            "worker.cli.console:console",
            "Process: what operators see and do, as web pages; its users, sessions",
        ),
        "sandbox": ("worker.cli.processes:sandbox", "Process: providers that are not real, faults on demand"),
        "health": ("worker.cli.health:health", "Do the processes live, are they ready, have they started?"),
        "publish": ("worker.cli.publish:publish", "Build, seal and publish events"),
        "plan": ("worker.cli.plan:plan", "An event → the exact HTTP calls, redacted; nothing is sent"),
        "explain": ("worker.cli.explain:explain", "Is this person out, everywhere?"),
        "exposure": (
            "worker.cli.exposure:exposure",
            "How long tokens live after their event, and the objective for it",
        ),
        "dead-letter": ("worker.cli.dead_letters:dead_letter", "What was given up: list, show, replay, discard"),
        "dlq": ("worker.cli.dead_letters:dead_letter", "Short for dead-letter"),
        "flood": ("worker.cli.flood:flood", "Floods of events that wait for you: list, release, discard"),
        "provider": ("worker.cli.provider:provider", "The configured providers: list, check, hold, release"),
        "genesys": ("worker.cli.genesys:genesys", "Ask Genesys Cloud about a token, or about its idle timeout"),
        "streams": ("worker.cli.streams:streams", "Streams of shared signals that we receive: list, create, verify"),
        "audit": ("worker.cli.audit:audit", "Who changed what, and is the record of it whole: list, verify"),
        "doctor": ("worker.cli.doctor:doctor", "Is everything as it should be, and what to do where it is not"),
        "keys": ("worker.cli.keys:keys", "Sealing keys: generate, list, export, retire, restore"),
        "config": ("worker.cli.admin:config", "The settings in force"),
        "topology": ("worker.cli.admin:topology", "The broker's exchanges and queues"),
        "ledger": ("worker.cli.admin:of_ledger", "The ledger: bring its schema up to date, prune it"),
    },
)
