"""The signals of ours that a stream keeps until its receiver has taken them."""

from typing import Protocol


class Signals(Protocol):
    """Those of one stream, in one transaction."""

    def keep(self, jti: str, token: str) -> None:
        """Keep *token* behind the others, once."""

    def first(self, count: int) -> dict[str, str]:
        """Return the *count* that were kept first, by their `jti`, in their order."""

    def count(self) -> int:
        """Return how many there are."""

    def drop(self, jtis: list[str]) -> None:
        """Forget those that the receiver has taken."""

    def refused(self, jti: str, code: str) -> None:
        """Forget one that the receiver will never take, and say so."""
