"""A ledger of a million calls: filled, asked what people ask at their desk, and timed."""
