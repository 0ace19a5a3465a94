"""`python -m worker.cli` is `revoker`."""

from worker.cli import main

main(prog_name="revoker")
