"""What an operator can do: values in, values out. Nothing is printed here; CLI and console are built on it."""


class RefusedRequest(Exception):  # noqa: N818 - an answer to an operator, and no fault
    """What an operator asked for cannot be done as asked; nothing was changed. One sentence says why."""
