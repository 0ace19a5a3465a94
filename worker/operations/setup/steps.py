"""What is left to do once the files are written: the exact commands, in their order."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from worker.broker.permissions import OPERATOR
from worker.operations.setup.plan import SetupPlan
from worker.settings.files import CONFIG_FILE, SECRETS_DIR

# Without a file's name rabbitmqctl waits for ever in RabbitMQ 4.0.5, which is Debian 13's, because its script keeps it
# from the standard input (https://github.com/rabbitmq/rabbitmq-server/issues/13157). It may run as a user who may not read the file by its
# name, nor, without the chmod, this pipe: that is open to nobody else who has no right to look into the processes.
IMPORT_DEFINITIONS = "cat {file} | (chmod o+r /dev/stdin && rabbitmqctl import_definitions /dev/stdin)"
PROCESSES = ("recorder", "worker", "intake")  # as upgrades start them: nothing comes in before somebody records it


def next_steps(plan: SetupPlan) -> Iterator[str]:
    """Lines for a shell; comments say who types them and where."""
    layout = plan.layout
    if os.geteuid() == 0:
        yield "# Where the processes run as another user than root, give the files to it:"
        yield f"#   chown -R USER: {_quoted(layout.folder)}"
    if layout.has_users:
        yield from _of_broker(plan)
    yield f"export {CONFIG_FILE}={_quoted(layout.config)}"
    yield f"export {SECRETS_DIR}={_quoted(layout.secrets_of(OPERATOR))}"
    yield "revoker ledger upgrade"  # first: what follows is in its audit
    yield "revoker topology declare"
    yield "revoker doctor"
    yield from _of_processes(plan)
    for source in plan.sources:
        yield f"# For whoever sends events as {source}, and for nobody else: {layout.producer_of(source)}"


def _of_broker(plan: SetupPlan) -> Iterator[str]:
    yield "# On the machine of the broker, as its administrator; the files hold hashes of passwords:"
    for file in plan.files:
        if file.path.parent == plan.layout.definitions_of(OPERATOR).parent:
            yield IMPORT_DEFINITIONS.format(file=_quoted(file.path))
    yield "# Here:"


def _of_processes(plan: SetupPlan) -> Iterator[str]:
    if plan.added:
        yield "# Then start the processes again: they know new providers and sources from their start."
        return
    yield "# The processes, each under a process manager:"
    for name in PROCESSES:
        own = f"{SECRETS_DIR}={_quoted(plan.layout.secrets_of(name))} " if plan.layout.has_users else ""
        yield f"{own}revoker {name}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
