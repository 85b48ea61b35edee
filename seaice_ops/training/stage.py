"""The training stage: snapshot, train, evaluate, promote; all by `run`, or each as a task."""

from __future__ import annotations

from functools import partial

from pydantic import BaseModel, ConfigDict, Field

from seaice_ops.ledger.runs import StageRun, recorded
from seaice_ops.models.card import Labels
from seaice_ops.pixels.reference import fingerprint, has_reference, read_conditions, read_reference
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary
from seaice_ops.training.fit import steps
from seaice_ops.training.judge.evaluate import Truth


class TrainRequest(BaseModel):
    """A request to train the settings' architecture on all labelled scenes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    promote: bool = Field(True, description="let the gate promote the model; else it stays challenger")


def run(settings: Settings, request: TrainRequest, *, caller: str = "") -> Summary:
    """Train on the present labelled scenes, evaluate, and promote the model if the gate allows it.

    `Summary.items` holds the model's id. The same scenes, labels and settings give the same model, which is not trained
    again. Raises `ExpectedSkip` where there are too few scenes, `TrainingFailed` where a rank fails (the last
    checkpoint is kept, and the next run resumes from it).
    """
    with recorded(settings, "train", caller) as stage:
        model_id = _snapshot(settings, stage)
        steps.train(stage, model_id)
        steps.evaluate(stage, model_id, _truth(settings), _regions(settings))
        if request.promote:
            steps.promote(stage, model_id, _truth(settings), by=settings.training.promotion)
    return stage.summary


def snapshot(settings: Settings, *, caller: str = "") -> str:
    """Freeze the training set; returns the id of its model. Raises `ExpectedSkip` where there are too few scenes."""
    with recorded(settings, "train.snapshot", caller) as stage:
        return _snapshot(settings, stage)


def train(settings: Settings, model_id: str, *, caller: str = "") -> Summary:
    """Train and register the model that `snapshot` named."""
    with recorded(settings, "train.fit", caller) as stage:
        steps.train(stage, model_id)
    return stage.summary


def evaluate(settings: Settings, model_id: str, *, caller: str = "") -> Summary:
    """Evaluate the model, and the champion beside it, on held-out scenes."""
    with recorded(settings, "train.evaluate", caller) as stage:
        steps.evaluate(stage, model_id, _truth(settings), _regions(settings))
    return stage.summary


def promote(settings: Settings, model_id: str, *, caller: str = "") -> Summary:
    """Promote the model if the gate allows it."""
    with recorded(settings, "train.promote", caller) as stage:
        steps.promote(stage, model_id, _truth(settings), by=settings.training.promotion)
    return stage.summary


def _snapshot(settings: Settings, stage: StageRun) -> str:
    method = settings.labels.method
    labels = Labels(method=method, version=settings.label_version(method))
    return steps.snapshot(stage, labels, settings.scenes.ceiling, settings.training)


def _truth(settings: Settings) -> Truth:
    folder = settings.reference_path
    return Truth(
        partial(has_reference, folder),
        partial(read_reference, folder),
        partial(read_conditions, folder),
        partial(fingerprint, folder),
    )


def _regions(settings: Settings) -> dict[str, list[str]]:
    """The names of the regions of each tile."""
    return {
        tile: [name for name, region in settings.regions.items() if tile in region.tiles] for tile in settings.tiles
    }
