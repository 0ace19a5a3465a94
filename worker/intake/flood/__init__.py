"""The blast radius: how many people one source may hit before the rest waits for an operator.

`subject` says whom an event counts for, `window` decides (pure), `gate` asks it for the intake and keeps all intakes in
step through the ledger. What is held back goes with the dead letters, confirmed, to the operators' desk, where
`revoker flood` finds it: one durable home for every event that waits for a person, and the way there needs no database.
What an operator sent on its way is a replay, which our own voucher tells: it is not held back again.
"""
