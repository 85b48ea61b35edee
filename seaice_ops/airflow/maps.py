"""The tasks of `seaice_update_maps`: class probabilities of new scenes, then the maps that are due; ice drift."""

from __future__ import annotations

from airflow.sdk import Context

from seaice_ops.airflow.assets import MAPS
from seaice_ops.airflow.outcome import report, task_run


def encode() -> dict[str, object]:
    """Class probabilities of the scenes that the due maps need and the champion has not seen."""
    from seaice_ops.mapping import encode as stage

    with task_run() as run:
        request = stage.EncodeRequest(tiles=tiles(run.context))
        return report(stage.run(run.settings, request, caller=run.caller)).to_dict()


def publish() -> dict[str, object]:
    """Shift the window, publish the maps that are due, and list them in the catalogue."""
    from seaice_ops.mapping import publish as stage
    from seaice_ops.mapping.catalogue import stage as catalogue

    with task_run() as run:
        chosen = tiles(run.context) or run.settings.tiles
        summary = report(stage.run(run.settings, stage.PublishRequest(tiles=chosen), caller=run.caller))
        listed = report(catalogue.run(run.settings, catalogue.CatalogueRequest(), caller=run.caller))
        summary.failed |= listed.failed
        run.context["outlet_events"][MAPS].add_partitions(list(chosen))
        return summary.to_dict()


def drift() -> dict[str, object]:
    """Track the ice between each labelled acquisition and the one before it."""
    from seaice_ops.mapping.drift import stage

    with task_run() as run:
        request = stage.DriftRequest(tiles=tiles(run.context))
        return report(stage.run(run.settings, request, caller=run.caller)).to_dict()


def tiles(context: Context) -> tuple[str, ...] | None:
    """The tile that the run is for, its partition key; None (all tiles) for a run by hand without one."""
    key = context["dag_run"].partition_key
    return (key,) if key else None
