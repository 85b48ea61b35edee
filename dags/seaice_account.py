"""
# Account for every acquisition

**When.** Every day at 12:00 UTC, or by hand.

**What.** `account` counts what the archive offers of the last 30 days, asked by sensing time, and what was made of it: held,
labelled, encoded, mapped, published. Each acquisition that is no published map has exactly one reason. The objects are looked for in
lists of the store, and a sample of maps, each map once in 30 days, is compared by checksum. The report lies in the store, below
`account/`, and the console shows it (*Sea ice*, Account). -> `explain` is red where something is *unexplained*, and only then.
The account changes nothing. What each reason means: docs/account.md.

| you see | it means | do |
|---|---|---|
| `explain` red: Unexplained | nothing in the ledger says why these acquisitions are no maps, or an object is not what was written; the message names them | read the report; trigger `seaice_ingest` with the products of its `ingest.txt` in the form, or `seaice ingest --list`; lost objects of maps come back by `seaice map --again` |
| `account` green, *archive: not asked* in the report | the archive does not answer; the account goes by the ledger | nothing |
| `account` orange (retry) | the ledger did not answer | wait |
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronTriggerTimetable, task

from seaice_ops.airflow import account
from seaice_ops.airflow.outcome import DEFAULT_ARGS

with DAG(
    dag_id="seaice_account",
    schedule=CronTriggerTimetable("0 12 * * *", timezone="UTC"),
    start_date=datetime(2015, 7, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["sea-ice", "account"],
):
    found = task(account.account, task_id="account")()
    task(account.explain, task_id="explain")(found)
