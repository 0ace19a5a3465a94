"""What to type for the same on the command line: each page teaches it, and is not missed when the console is away."""

import shlex


def command(*words: str) -> str:
    """Return the command of *words*, as a shell takes it."""
    return shlex.join(("revoker", *words))
