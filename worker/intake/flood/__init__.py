"""The blast radius: how many people one source may hit before the rest waits for an operator.

What is held back goes with the dead letters, confirmed, to the operators' desk, where `revoker flood` finds it: one
durable home for every event that waits for a person, and the way there needs no database. What an operator sent on its
way is a replay, which our own voucher proves: it is not held back again.
"""
