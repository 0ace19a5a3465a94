"""The intake: events in, provider calls out."""
