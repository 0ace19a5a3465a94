"""Which errors are no bugs but states of the world, and how a command ends on each."""

from __future__ import annotations

from typing import Final

from tasks.sealing import SealError
from worker.broker.publisher import PublishError
from worker.cli.exits import CommandError, Exit
from worker.intake.signing import SigningKeyError
from worker.ledger import LedgerRefused, LedgerUnavailable
from worker.settings import SettingsError

_CODES: Final[tuple[tuple[type[Exception], Exit], ...]] = (
    (SettingsError, Exit.REFUSED),
    (SealError, Exit.FAILED),
    (SigningKeyError, Exit.FAILED),
    (LedgerUnavailable, Exit.UNAVAILABLE),
    (LedgerRefused, Exit.FAILED),
    (PublishError, Exit.UNAVAILABLE),
)


def as_command_error(error: Exception) -> CommandError | None:
    """The clear end of a command on *error*; None where *error* is a bug, which deserves its stack trace."""
    if isinstance(error, OSError) and error.filename is not None:
        code = Exit.NOT_PERMITTED if isinstance(error, PermissionError) else Exit.FAILED
        return CommandError(f"{error.filename}: {error.strerror}", code)
    return next((CommandError(str(error), code) for kind, code in _CODES if isinstance(error, kind)), None)
