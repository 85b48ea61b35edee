"""The tasks of `seaice_retrain`: snapshot, training, evaluation, and the gate."""

from __future__ import annotations

from seaice_ops.airflow.assets import MODEL
from seaice_ops.airflow.outcome import report, task_run
from seaice_ops.errors import ExpectedSkip


def snapshot() -> str:
    """Freeze the training set and return the id of the model that it will become."""
    from seaice_ops.training import stage

    with task_run() as run:
        return stage.snapshot(run.settings, caller=run.caller)


def train(model_id: str) -> dict[str, object]:
    """Train on Horovod ranks and register the weights."""
    from seaice_ops.training import stage

    with task_run() as run:
        return report(stage.train(run.settings, model_id, caller=run.caller)).to_dict()


def evaluate(model_id: str) -> dict[str, object]:
    """Score the challenger, the champion and the auto-labels on the held-out acquisitions."""
    from seaice_ops.training import stage

    with task_run() as run:
        return report(stage.evaluate(run.settings, model_id, caller=run.caller)).to_dict()


def promote(model_id: str) -> dict[str, object]:
    """Let the gate decide; a promotion makes every active tile's maps due."""
    from seaice_ops.mapping.due.tile_state import tiles_due
    from seaice_ops.training import stage

    with task_run() as run:
        summary = report(stage.promote(run.settings, model_id, caller=run.caller))
        tiles = list(tiles_due(run.settings))
        if not tiles:
            raise ExpectedSkip(f"{summary.sentence()}; no map is due")
        run.context["outlet_events"][MODEL].add_partitions(tiles)
        return summary.to_dict()
