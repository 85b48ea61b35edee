"""The bodies of `seaice_backfill_season`: its form, the estimate, and one look at Airflow after the other.

Tasks have no access to Airflow's database: what is asked of Airflow goes through its REST API, with the login of the
Airflow connection `seaice_airflow`, else of the environment (SEAICE_AIRFLOW_URL), else of the console on this machine.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, date, datetime
from typing import Any

from airflow.sdk import Param, PokeReturnValue

from seaice_airflow import WAITING, lend_connection, stage_task, waits_for_archive
from seaice_ops.errors import ConfigError, ExpectedSkip, TransientError
from seaice_ops.settings import Settings

log = logging.getLogger(__name__)

DAG_ID, CONNECTION = "seaice_backfill_season", "seaice_airflow"

#: A season may take months: the driver looks once a minute and holds no worker in between.
LOOKING: dict[str, Any] = {
    "mode": "reschedule",
    "poke_interval": float(os.environ.get("SEAICE_RETRY_SECONDS", 60)),
    "timeout": 400 * 86400.0,
}


def form() -> dict[str, Param]:
    """The fields of the trigger form."""
    try:
        regions: dict[str, Any] = {"enum": list(Settings.load().regions)}
    except ConfigError as error:  # the form stays; the run says what is wrong
        log.warning("the form cannot list the regions: %s", error)
        regions = {}
    day = {"type": ["null", "string"], "format": "date"}
    return {
        "region": Param(regions.get("enum", [""])[0], type="string", title="Region", **regions),
        "season": Param(
            None,
            type=["null", "string"],
            pattern=r"^(\d{4}-\d{2})?$",
            title="Season",
            description="2025-26 is 1 October 2025 to 30 September 2026 in the north, 1 March 2025 to the end of "
            "February 2026 in the south. Leave it empty to give dates.",
        ),
        "start": Param(None, **day, title="First day", description="Sensing day, UTC. Leave it empty with a season."),
        "end": Param(None, **day, title="Last day", description="Included."),
        "redo": Param(
            "nothing",
            type="string",
            enum=["nothing", "failed", "everything"],
            title="Do again",
            description="nothing: only days that have not run for this region; failed: those that failed too; "
            "everything: all days. A scene that is ready is never fetched again.",
        ),
        "at_once": Param(2, type="integer", minimum=1, maximum=16, title="Days at once"),
        "dry_run": Param(
            True, type="boolean", title="Dry run", description="Only estimate; switch it off to start the work."
        ),
    }


@stage_task
@waits_for_archive
def estimate(settings: Settings, *, params: Any, **_: Any) -> dict[str, Any]:
    """Count what the archive holds for the days that the form means, and say what fetching it takes."""
    from seaice_ops.backfill.estimate import estimate as count
    from seaice_ops.backfill.season import days

    lend_connection(settings)
    first, last = days(settings, asked(params), datetime.now(UTC).date())
    found = count(settings, params["region"], first, last, progress=lambda day: log.info("counted up to %s", day))
    log.info("%s", found.sentence())
    return {**found.to_dict(), "said": found.sentence()}


@stage_task
def drive(
    settings: Settings, found: dict[str, Any], *, params: Any, dag_run: Any, ti: Any, **_: Any
) -> PokeReturnValue:
    """Look once: wait for the seasons that were asked for earlier, then for each piece of this one, then give the next.

    The answer when all is done is the last progress; on the way it is the XCom `progress` and the run's note.
    """
    from seaice_ops.airflow import rest

    if params["dry_run"]:
        with airflow(settings) as client:
            rest.note(client, DAG_ID, dag_run.run_id, f"dry run: {found['said']}")
        raise ExpectedSkip(f"dry run; {found['said']}")
    try:
        progress = _look(settings, found, asked(params), dag_run.run_id)
    except TransientError as reason:  # a season takes longer than any outage of Airflow or the ledger
        log.warning("waiting: %s", reason)
        return PokeReturnValue(False)
    ti.xcom_push("progress", progress)
    return PokeReturnValue(progress["state"] == "done", progress)


def _look(settings: Settings, found: dict[str, Any], request: Any, run_id: str) -> dict[str, Any]:
    from seaice_ops.airflow import rest
    from seaice_ops.backfill.drive import ahead, step
    from seaice_ops.backfill.estimate import Estimate

    with airflow(settings) as client:
        earlier = ahead(client, DAG_ID, run_id)
        if earlier:
            words, progress = f"waiting for {earlier[0]}; {found['said']}", {"state": "waiting", "why": earlier[0]}
        else:
            made = step(settings, client, request, Estimate.from_dict(found), run_id)
            words, progress = made.sentence(), made.to_dict()
        log.info("%s", words)
        rest.note(client, DAG_ID, run_id, words)
    return progress


def asked(params: Any) -> Any:
    """The form's fields as the request that they mean."""
    from seaice_ops.backfill.season import BackfillRequest

    return BackfillRequest(
        region=params["region"],
        season=params["season"] or None,
        start=date.fromisoformat(params["start"]) if params["start"] else None,
        end=date.fromisoformat(params["end"]) if params["end"] else None,
        redo=params["redo"],
        at_once=params["at_once"],
    )


def airflow(settings: Settings) -> Any:
    """A client of Airflow's REST API."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    from seaice_ops.airflow import rest

    try:
        found = Connection.get(CONNECTION)
    except AirflowNotFoundException:
        return rest.find(settings)
    scheme, port = found.schema or "http", f":{found.port}" if found.port else ""
    host = found.host if "://" in (found.host or "") else f"{scheme}://{found.host}"
    return rest.sign_in(f"{host}{port}", found.login or "", found.password or "")


__all__ = ["DAG_ID", "LOOKING", "WAITING", "drive", "estimate", "form"]
