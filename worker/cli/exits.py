"""How a command ends: the exit codes, and the one clear line that goes with each that is not success."""

# ruff: noqa: PLC0415 - the table of errors is imported on failure only, so that `--help` is fast
from collections.abc import Mapping
from enum import IntEnum
from typing import Self

import click

from worker.operations.text import plain


class Exit(IntEnum):
    """The exit codes, each with its meaning; those from 64 are of sysexits.h, 130 is a shell's code for Ctrl-C."""

    DONE = 0, "done (`explain`: out everywhere)"
    FAILED = 1, "failed (`explain`: not out yet, not proved, out in part, or enabled again)"
    REFUSED = 2, "usage error, or refused: nothing was changed"
    PARTIAL = 3, "done in part"
    EMPTY = 4, "nothing matched, with `--fail-if-empty` (`explain`: nothing known)"
    UNAVAILABLE = 69, "broker or ledger cannot be reached"
    NOT_PERMITTED = 77, "not permitted: by the provider, or by the machine"
    INTERRUPTED = 130, "interrupted: what was done is done, the same command does the rest"

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make the member whose value is *code*."""
        member = int.__new__(cls, code)
        member._value_, member.meaning = code, meaning
        return member


class CommandError(click.ClickException):
    """A command that did not do what was asked, in one line that shows no secret, with its exit code."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc] # click declares it for the class, and reads it from the instance

    def format_message(self) -> str:
        """The message with nothing in it that acts on a terminal: it may name a file, or hold what a server said."""
        return "\n".join(map(plain, self.message.splitlines()))


def finish(code: Exit) -> None:
    """End the command with *code*; success needs no ending."""
    if code is not Exit.DONE:
        click.get_current_context().exit(code)


def as_command_error(error: Exception) -> CommandError | None:
    """The clear end of a command on *error*; None where *error* is a bug, which deserves its stack trace."""
    if isinstance(error, OSError) and error.filename is not None:
        code = Exit.NOT_PERMITTED if isinstance(error, PermissionError) else Exit.FAILED
        return CommandError(f"{error.filename}: {error.strerror}", code)
    return next((CommandError(str(error), code) for kind, code in _codes().items() if isinstance(error, kind)), None)


def _codes() -> Mapping[type[Exception], Exit]:
    """Which errors are no bugs but states of the world."""
    from tasks.sealing import SealError
    from worker import ledger as ledgers
    from worker.broker.publication import PublishError
    from worker.demo.run import Interrupted, Unreachable
    from worker.demo.state_dir import StateError
    from worker.demo.supervisor import ProcessFailed
    from worker.intake.signing import SigningKeyError
    from worker.operations import RefusedRequest
    from worker.operations.genesys import CredentialRefused, NoAnswer
    from worker.operations.streams import TransmitterRefused
    from worker.sandbox.client import SandboxError
    from worker.serving import CannotListen
    from worker.settings import SettingsError

    not_found = (ledgers.DeadLetterNotFound, ledgers.JobNotFound)
    ambiguous = (ledgers.DeadLetterAmbiguous, ledgers.JobAmbiguous)
    failed = (CannotListen, SealError, SigningKeyError, ledgers.LedgerRefused, *not_found, NoAnswer, ProcessFailed)
    return {
        CredentialRefused: Exit.NOT_PERMITTED,  # before NoAnswer, whose kind it is
        Interrupted: Exit.INTERRUPTED,
        **dict.fromkeys((SettingsError, RefusedRequest, ledgers.LedgerIsNewer, *ambiguous, StateError), Exit.REFUSED),
        **dict.fromkeys((ledgers.LedgerUnavailable, PublishError, Unreachable), Exit.UNAVAILABLE),
        **dict.fromkeys((*failed, SandboxError, TransmitterRefused), Exit.FAILED),
    }
