"""What is left to do once the files are written: the exact commands, in their order."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from worker.broker.permissions import DOOR, OPERATOR
from worker.operations.setup.plan import SetupPlan
from worker.settings.files import CONFIG_FILE, SECRETS_DIR

# In RabbitMQ 4.0.5, which is Debian 13's, rabbitmqctl waits for ever for what it is given without a file's name
# (https://github.com/rabbitmq/rabbitmq-server/issues/13157). By its name it may not read the file: on Debian it becomes
# another user. So it gets a copy without a name, which that user may read, and nobody who does not have it open.
IMPORT_FILE = (
    'import_file() (copy=$(mktemp) && cat "$1" >"$copy" && exec <"$copy" && rm "$copy" && chmod o+r /dev/stdin &&'
    " rabbitmqctl import_definitions /dev/stdin)"
)
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
    yield IMPORT_FILE
    for file in plan.files:
        if file.path.parent == plan.layout.definitions_of(OPERATOR).parent:
            yield f"import_file {_quoted(file.path)}"
    yield "# Here:"


def _of_processes(plan: SetupPlan) -> Iterator[str]:
    if plan.added:
        yield "# Then start the processes again: they know new providers and sources from their start."
        return
    yield "# The processes, each under a process manager:"
    for name in (*PROCESSES, DOOR) if plan.settings.doors else PROCESSES:
        own = f"{SECRETS_DIR}={_quoted(plan.layout.secrets_of(name))} " if plan.layout.has_users else ""
        yield f"{own}revoker {name}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
