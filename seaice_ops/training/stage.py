"""The training stage: snapshot, train, evaluate, promote; at once by `run`, or as four tasks."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from seaice_ops.ledger.runs import recorded
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary
from seaice_ops.training.fit import steps


class TrainRequest(BaseModel):
    """What to train: always the settings' architecture on all labelled scenes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    promote: bool = Field(True, description="let the gate promote the model; else it stays challenger")


def run(settings: Settings, request: TrainRequest, *, caller: str = "") -> Summary:
    """Train on the labelled scenes as they are now, evaluate, and promote if the gate lets it; `items`: the model's id.

    The same scenes, labels and settings are the same model: training them again is nothing new. Raises `ExpectedSkip`
    where there is too little to learn from, `TrainingFailed` where a rank fails (what it had trained is kept).
    """
    with recorded(settings, "train", caller) as stage:
        summary = stage.summary
        model_id = steps.snapshot(settings, summary)
        steps.train(settings, model_id, summary)
        steps.score(settings, model_id, summary)
        if request.promote:
            steps.decide(settings, model_id, summary)
    return summary


def snapshot(settings: Settings, *, caller: str = "") -> str:
    """The id of the model that the labelled scenes make now; raises `ExpectedSkip` where there are too few."""
    with recorded(settings, "train.snapshot", caller) as stage:
        summary = stage.summary
        return steps.snapshot(settings, summary)


def train(settings: Settings, model_id: str, *, caller: str = "") -> Summary:
    """Train and register the model that `snapshot` named."""
    with recorded(settings, "train.fit", caller) as stage:
        summary = stage.summary
        steps.train(settings, model_id, summary)
    return summary


def evaluate(settings: Settings, model_id: str, *, caller: str = "") -> Summary:
    """Score the model, and the champion beside it, on held-out scenes."""
    with recorded(settings, "train.evaluate", caller) as stage:
        summary = stage.summary
        steps.score(settings, model_id, summary)
    return summary


def promote(settings: Settings, model_id: str, *, caller: str = "") -> Summary:
    """Let the gate decide whether the model becomes champion."""
    with recorded(settings, "train.promote", caller) as stage:
        summary = stage.summary
        steps.decide(settings, model_id, summary)
    return summary
