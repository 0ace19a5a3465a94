"""A small service to be added as a provider."""
