"""What the embedded broker raises; everything else it raises is an AMQP channel error of kombu's."""

from kombu.exceptions import KombuError, OperationalError


class BrokerUnavailable(OperationalError):  # noqa: N818  # a state, not a bug
    """The broker's file cannot be used now (locked, full, unreadable, closed); a later try may succeed."""


class Unroutable(KombuError):  # noqa: N818  # named as AMQP names it
    """A mandatory message reached no queue; nothing of its transaction was stored."""
