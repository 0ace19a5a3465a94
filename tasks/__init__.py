"""What a revocation is: events, plans, provider calls, outcomes, retry. Needs no environment and no broker."""
