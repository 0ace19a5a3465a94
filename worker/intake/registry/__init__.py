"""The session registry: what `session.started` told, for the events that end a person's sessions later.

`ends` says which session an event ends, `store` is its SQL, `registry` what one intake process does with both.
"""
