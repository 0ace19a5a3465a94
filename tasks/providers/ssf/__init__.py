"""Receivers of shared signals: they are told of a user by signed Security Event Tokens."""

from tasks.providers.ssf.kind import KIND as KIND
from tasks.providers.ssf.kind import SIGNAL_USER as SIGNAL_USER
from tasks.providers.ssf.kind import SsfSettings as SsfSettings
