"""The benchmark: our worker and its peers side by side, in one run, at the same provider. `make bench` runs it."""
