"""Holds: while a provider is held, its calls wait in the broker, unattempted.

`hold` is the value; `breaker` decides when one is opened; `registry` knows which stand; `store` keeps them in the
ledger, and `sync` shares them between all workers; `provider_state` is what is learnt of a provider; `policy` puts a
call through all of it. The engine stops consuming the queues of a held provider.
"""
