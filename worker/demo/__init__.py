"""`revoker run`: the whole worker on one machine, shown at work on a file of sample events."""
