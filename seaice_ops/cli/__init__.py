"""The command line: one module a family of verbs; importing a module adds its verbs to `app`.

Nothing heavy is imported here: a verb imports its stage when it runs, so that `seaice --help` answers at once.
"""

from seaice_ops.cli import (
    account,
    backfill,
    catalogue,
    changes,
    housekeeping,
    labels,
    models,
    operators,
    paper,
    region,
    stages,
)
from seaice_ops.cli.common import app

__all__ = [
    "account",
    "app",
    "backfill",
    "catalogue",
    "changes",
    "housekeeping",
    "labels",
    "models",
    "operators",
    "paper",
    "region",
    "stages",
]
