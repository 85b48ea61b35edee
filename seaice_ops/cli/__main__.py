"""`python -m seaice_ops.cli`."""

from seaice_ops.cli import app

app()
