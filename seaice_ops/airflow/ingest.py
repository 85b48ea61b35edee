"""The tasks of `seaice_ingest`: search, fetch and decode, announce, and what people are told at the end."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context, Param, PokeReturnValue
from airflow.sdk.configuration import conf

from seaice_ops.airflow.connections import lend_archive
from seaice_ops.airflow.outcome import put_off_in_outage, report, task_run, wait_for_archive
from seaice_ops.errors import ConfigError, CorruptProduct, ExpectedSkip
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

if TYPE_CHECKING:
    from seaice_ops.archive.search import SearchRequest

log = logging.getLogger(__name__)

#: What a run without dates looks back over. A tile whose watermark is older is searched from there.
BY_HAND = timedelta(days=1)


def search() -> PokeReturnValue:
    """Sensor: record what is new in the archive and return the ids of the scenes to ingest, oldest first."""
    from seaice_ops.archive import listed
    from seaice_ops.archive import search as stage

    with task_run() as run:
        lend_archive(run.settings)
        products = products_asked_for(run.context["dag_run"].conf)
        if products:
            chosen = listed.ListedRequest(products)
            look = partial(listed.run, run.settings, chosen, caller=run.caller)
        else:
            look = partial(stage.run, run.settings, search_request(run.settings, run.context), caller=run.caller)
        return wait_for_archive(run.settings, lambda: mappable(report(look()).items))


def products_asked_for(asked: dict[str, object] | None) -> tuple[str, ...]:
    """The `products` that a run's conf lists, as the account does; nothing for a search of all."""
    from seaice_ops.archive.listed import read_list

    found = (asked or {}).get("products") or []
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ConfigError(f"the run's conf has products {found!r}; it must be a list of names of products")
    return read_list("\n".join(found))


def form() -> dict[str, Any]:
    """The fields of the form by which a run is started by hand."""
    words = "Names of products, one a line, such as the account lists: only these are ingested, failed ones too."
    return {"products": Param([], type="array", items={"type": "string"}, title="Products", description=words)}


def search_request(settings: Settings, context: Context) -> SearchRequest:
    """The search of the run: in a backfill by sensing time in its interval, else by publication time up to its end.

    A scheduled run begins where the last one that succeeded ended, however long ago that was. A run started by hand
    without dates ends now. The run's conf may name one `region`. Raises `ConfigError` for a region that does not exist.
    """
    from seaice_ops.archive.search import SearchRequest

    run, tiles = context["dag_run"], tiles_asked_for(settings, context["dag_run"].conf)
    start, end = interval(context)
    if run.run_type == "backfill":
        return SearchRequest("sensed", start, end, tiles)
    return SearchRequest("published", start, end, tiles, catch_up=True)


def interval(context: Context) -> tuple[datetime, datetime]:
    """The run's data interval; the day until now where Airflow gives it none (a run by hand without dates)."""
    from seaice_ops.ledger.operations import now

    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if start is None or end is None:
        moment = now()
        return moment - BY_HAND, moment
    return start, end


def tiles_asked_for(settings: Settings, asked: dict[str, object] | None) -> tuple[str, ...] | None:
    """Tiles of the `region` that a run's conf names; None (all tiles) without one."""
    name = (asked or {}).get("region")
    if name is None:
        return None
    if not isinstance(name, str):
        raise ConfigError(f"the run's conf has region {name!r}; it must be one of {', '.join(settings.regions)}")
    return settings.region(name).tiles


def mappable(items: list[str]) -> list[str]:
    """The first of `items`, as many as Airflow maps tasks over in one run; the next run's search finds the others."""
    limit = conf.getint("core", "max_map_length", fallback=1024)
    if len(items) > limit:
        log.warning("%d of %d scenes are left to later runs: core.max_map_length", len(items) - limit, len(items))
    return items[:limit]


def ingest(scene_id: str) -> dict[str, object]:
    """Fetch one product and decode it into one COG."""
    from seaice_ops.archive import fetch
    from seaice_ops.scenes import decode

    with task_run() as run, put_off_in_outage(run.settings):
        lend_archive(run.settings)
        done(fetch.run(run.settings, fetch.FetchRequest((scene_id,)), caller=run.caller), scene_id)
        decoded = decode.run(run.settings, decode.DecodeRequest((scene_id,)), caller=run.caller)
        return done(decoded, scene_id).to_dict()


def done(summary: Summary, scene_id: str) -> Summary:
    """The summary of a stage that did its work; raises what ends the task where the scene failed or was skipped."""
    if scene_id in summary.failed:
        raise CorruptProduct(f"{without_folders(summary.failed[scene_id])} ({scene_id})")
    if scene_id in summary.skipped:
        raise ExpectedSkip(without_folders(summary.skipped[scene_id]))
    return report(summary)


def without_folders(reason: str) -> str:
    """`reason` with file names for absolute paths, so that a line of a log shows what is wrong, not where it lies."""
    return re.sub(r"(?<![\w:/])(?:/[^\s/:,;'\"]+)+/(?=[^\s/])", "", reason)


def announce() -> str:
    """Emit the asset `seaice_scenes` while scenes wait for labels or tiles for maps.

    The ledger is asked, not this run: an event that a crash lost, or a map run that failed, is made up for here.
    """
    from seaice_ops.airflow.labels import waiting_for_labels
    from seaice_ops.mapping.due.tile_state import tiles_due

    with task_run() as run:
        waiting = waiting_for_labels(run.settings)
        try:
            tiles = tiles_due(run.settings)
        except ExpectedSkip as reason:
            log.info("no maps: %s", reason)
            tiles = ()
        if not waiting and not tiles:
            raise ExpectedSkip("every ready scene has its labels and every tile its maps")
        return f"{waiting} scenes wait for labels, {len(tiles)} tiles for maps"


def close() -> None:
    """Tell people about late maps and inactive regions; the run is green only if every scene of it is."""
    from seaice_ops.ops.inactive import tell_inactive
    from seaice_ops.ops.notify import notify, tell_late_maps

    with task_run() as run:
        tell_late_maps(run.settings, notify)
        tell_inactive(run.settings, notify, caller=run.caller)
