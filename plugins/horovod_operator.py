"""The Airflow operator that trains on Horovod ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from seaice_ops.airflow import training


class HorovodOperator(BaseOperator):
    """Train the model that `model_id` (templated) names on the configured number of Horovod ranks.

    The ranks are children of the task's process: when the task is killed, in the UI or by SIGKILL, every rank ends.
    The next try resumes at the last finished epoch. Returns the summary of the training.
    """

    template_fields: Sequence[str] = ("model_id",)
    ui_color = "#d5e8f3"

    def __init__(self, *, model_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model_id = model_id

    def execute(self, context: Context) -> dict[str, object]:
        return training.train(self.model_id)

    def on_kill(self) -> None:
        from seaice_ops.training.ranks import launch

        launch.end_ranks()
