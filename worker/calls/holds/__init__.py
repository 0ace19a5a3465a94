"""Holds: while a provider is held, its calls wait in the broker, unattempted.

`hold` is the value, `symptoms` and `breaker` decide when one is opened, `board` knows which stand, `desk` keeps them
in the ledger so that all workers share them, `guard` puts a call through all of it, `valve` stops consuming.
"""
