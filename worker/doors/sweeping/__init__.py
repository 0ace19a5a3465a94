"""The looks of our own at the sources of doors: the process `revoker sweep`."""
