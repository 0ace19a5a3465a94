"""What the processes tell of themselves: logs and error reports, without secrets."""
