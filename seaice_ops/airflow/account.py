"""The tasks of `seaice_account`: make the account, then fail where something is unexplained."""

from __future__ import annotations

import logging
from typing import Any

from seaice_ops.airflow.connections import lend_archive
from seaice_ops.airflow.outcome import task_run, telling_outages
from seaice_ops.errors import Unexplained

log = logging.getLogger(__name__)

#: Unexplained items that a message names; the report names all.
NAMED = 10


def account() -> dict[str, Any]:
    """Make the account of the last 30 days and keep it in the store; what it says in short."""
    from seaice_ops.ops.account.stage import AccountRequest
    from seaice_ops.ops.account.stage import run as make

    with task_run() as run:
        lend_archive(run.settings)
        with telling_outages(run.settings):
            summary, report = make(run.settings, AccountRequest(), caller=run.caller)
        for words in summary.skipped.values():
            log.warning("%s", words)
        folder = summary.items[0] if summary.items else ""
        found = report.unexplained
        return {"said": report.sentence(), "report": folder, "count": len(found), "unexplained": found[:NAMED]}


def explain(found: dict[str, Any]) -> str:
    """End well where everything is explained; raise `Unexplained`, which people are told, where something is not."""
    count, named = found["count"], found["unexplained"]
    if not count:
        return str(found["said"])
    more = f"; and {count - len(named)} more" if count > len(named) else ""
    where = f"; the report is {found['report']}/account.html in the store, and the console shows it"
    raise Unexplained(f"{count} unexplained: {'; '.join(named)}{more}{where}")
