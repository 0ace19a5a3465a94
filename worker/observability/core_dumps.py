"""What a crash leaves behind: no image of the memory, which holds keys, and tokens while their calls are made."""

import resource


def forbid() -> None:
    """Have the system write no core file of this process (setrlimit(2), RLIMIT_CORE), nor of any it starts."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
