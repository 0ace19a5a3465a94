"""Signals of a stream, kept in memory."""


class KeptSignals:
    """Those of one stream."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.codes: dict[str, str] = {}

    def keep(self, jti: str, token: str) -> None:
        """Keep *token*."""
        self.kept.setdefault(jti, token)

    def first(self, count: int) -> dict[str, str]:
        """Return the first."""
        return dict([*self.kept.items()][:count])

    def count(self) -> int:
        """Return how many there are."""
        return len(self.kept)

    def drop(self, jtis: list[str]) -> None:
        """Forget some."""
        for jti in jtis:
            self.kept.pop(jti, None)

    def refused(self, jti: str, code: str) -> None:
        """Forget one."""
        if self.kept.pop(jti, None):
            self.codes[jti] = code
