"""A job that ends sessions which nobody uses: the event and the session's end are one transaction (docs: its page)."""
