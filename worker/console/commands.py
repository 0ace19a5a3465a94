"""What to type for the same on the command line: each page teaches it, and is not missed when the console is away."""

import shlex


def command(*words: str) -> str:
    """Return the command of *words*, as a shell takes it."""
    return shlex.join(("revoker", *words))


def operands(*values: str) -> tuple[str, ...]:
    """Return *values* as the last words of a command: none of them is taken for an option."""
    return ("--", *values) if any(each.startswith("-") for each in values) else values
