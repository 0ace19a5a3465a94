"""The settings of a ledger that is only measured."""

from __future__ import annotations

from typing import Final

from worker.settings import Settings

SUBJECT_KEY: Final = "subject-key-of-a-ledger-that-is-only-measured"
YEAR: Final = 31_536_000  # seconds: what died in all of the ledger's time may be replayed
SETTINGS: Final = Settings.of({"subject_key": SUBJECT_KEY, "max_age": {"session_ended": YEAR, "user_disabled": YEAR}})
SECRET: Final = SUBJECT_KEY.encode()  # by which its dead letters are signed
