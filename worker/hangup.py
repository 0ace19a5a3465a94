"""SIGHUP: a terminal was closed, or somebody's log rotation or reload sent it. It is a wish to stop like SIGTERM."""

import signal


def with_hangup(*numbers: signal.Signals) -> tuple[signal.Signals, ...]:
    """*numbers* and SIGHUP, but for a process that was started to ignore it, as nohup(1) does: there it stays ignored.

    To be called before anything listens to SIGHUP.
    """
    return numbers if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*numbers, signal.SIGHUP)
