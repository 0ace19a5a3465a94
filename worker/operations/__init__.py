"""What an operator can do: values in, values out. Nothing is printed here; CLI and console are built on it."""
