"""The doors: HTTP inlets of directories and identity providers, behind one law."""
