"""When the garbage collector looks at what: rarely, and not at what was here before the first message.

A look at everything takes a process that has loaded its libraries some 70 ms, in which it does nothing else.
"""

from __future__ import annotations

import gc
from typing import Final

# The default looks after every 700 new objects, in vain: what a call leaves behind is rarely in a circle. Seldom looks
# took a fifth off the CPU of a call, and added nothing to the memory.
OFTEN_ENOUGH: Final = (50_000, 20, 100)


def freeze(**_: object) -> None:
    """What is here at the start is here to stay: the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*OFTEN_ENOUGH)
