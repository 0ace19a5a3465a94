"""What is replaced while a worker runs: sealing keys, and the credentials and ciphers of its providers."""

from worker.rotation.instances import Instances
from worker.rotation.uses import KeyUses
from worker.rotation.watch import Watch

__all__ = ["Instances", "KeyUses", "Watch"]
