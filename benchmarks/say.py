"""Progress, on standard error: standard output is for the table."""

import sys
import time

_STARTED = time.monotonic()


def say(line: str) -> None:
    """Tell how far the run has come."""
    minutes, seconds = divmod(int(time.monotonic() - _STARTED), 60)
    sys.stderr.write(f"[{minutes:02}:{seconds:02}] {line}\n")
    sys.stderr.flush()
