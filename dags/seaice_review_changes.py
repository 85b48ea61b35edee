"""
# Review dated changes

**When.** Every day at 06:00 UTC, or by hand.

**What.** `questions` finds changes in every tile's sequence of maps. -> For each that nobody has decided, `ask` waits for a
person (*Required Actions* in the UI; the text shows pictures before and after) -> `announce` starts `seaice_update_maps` for
the tile, which issues the touched maps again. `seaice changes` decides the same from a terminal; who is first wins.

| you see | it means | do |
|---|---|---|
| `questions` pink (skipped) | no change waits for a decision | nothing |
| `ask` waits | a person must choose | look at the pictures; *Approve*, *Reject*, or *Later*; correct the class where it is wrong |
| `ask` ends by itself | nobody answered for 20 hours | nothing: the next daily run asks again |
| `ask` asks again after an answer | the answer came before the scheduler had parked the task | answer again: nothing was decided |
| `announce` pink (skipped) | the answer touches no map | nothing |

What was approved is never asked again, and what was rejected stays rejected (docs/changes.md).
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronTriggerTimetable, task, task_group

from seaice_ops.airflow import review
from seaice_ops.airflow.outcome import DEFAULT_ARGS

with DAG(
    dag_id="seaice_review_changes",
    schedule=CronTriggerTimetable("0 6 * * *", timezone="UTC"),
    start_date=datetime(2015, 7, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["sea-ice", "maps"],
):
    asked = task(review.questions, task_id="questions")()
    task_group(group_id="review")(review.review).expand_kwargs(asked)
